rockspec_format = "3.0"
package = "libkivi"
version = "0.1.0-1"
source = {
   url = "file://." -- made from a checkout: luarocks make lua/libkivi-0.1.0-1.rockspec
}
description = {
   summary = "One key-value API for every store: memory, LMDB, Redis",
   detailed = [[
      A dict stored from Python is a table in Lua and a Hash in Ruby, from LMDB on a laptop to Redis in production.
      require "kivi" in Lua 5.1, 5.3, 5.4 and LuaJIT; require "resty.kivi" in nginx.
   ]],
   license = "MIT"
}
supported_platforms = { "unix" }
dependencies = {
   "lua >= 5.1, < 5.5"
}
external_dependencies = {
   KIVI = { header = "kivi/kivi.h", library = "kivi" }
}
build = {
   type = "make",
   makefile = "lua/Makefile",
   build_target = "",
   build_variables = {
      CFLAGS = "$(CFLAGS)",
      LIBFLAG = "$(LIBFLAG)",
      LUA_INCDIR = "$(LUA_INCDIR)",
      KIVI_INCDIR = "$(KIVI_INCDIR)",
      KIVI_LIBDIR = "$(KIVI_LIBDIR)"
   },
   install_variables = {
      CFLAGS = "$(CFLAGS)",
      LIBFLAG = "$(LIBFLAG)",
      LUA_INCDIR = "$(LUA_INCDIR)",
      KIVI_INCDIR = "$(KIVI_INCDIR)",
      KIVI_LIBDIR = "$(KIVI_LIBDIR)",
      INST_LIBDIR = "$(LIBDIR)",
      INST_LUADIR = "$(LUADIR)"
   }
}
