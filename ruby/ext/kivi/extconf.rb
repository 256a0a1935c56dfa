# frozen_string_literal: true

# Builds kivi/core against an installed libkivi (pkg-config kivi) or, where there is none that fits or
# --with-bundled-libkivi is said, against the one whose sources the gem carries, which CMake builds.
require "mkmf"
require "open3"

VENDOR = File.expand_path("../../vendor", __dir__)
PREFIX = File.join(VENDOR, "prefix")
CORE = File.join(VENDOR, "libkivi/core")

# "0.1": a minor step may change the ABI.
def wanted_version
  header = File.read(File.join(VENDOR, "libkivi/include/kivi/base.h"))
  %w[MAJOR MINOR].map { |part| header[/#define KIVI_VERSION_#{part} (\d+)/, 1] }.join(".")
end

def use_library(libraries, includes)
  $INCFLAGS << " -I#{includes}" # rubocop:disable Style/GlobalVars
  $LDFLAGS << " -L#{libraries} -Wl,-rpath,#{libraries}" # rubocop:disable Style/GlobalVars
  $libs = "-lkivi #{$libs}" # rubocop:disable Style/GlobalVars
end

def ask(*question) = IO.popen(["pkg-config", *question, "kivi"], err: File::NULL, &:read).strip

def use_installed
  return false if with_config("bundled-libkivi") || !find_executable("pkg-config")
  return false unless ask("--modversion").start_with?("#{wanted_version}.")

  libraries = ask("--variable=libdir")
  return false unless libraries.start_with?("/") # else looked up in the current folder of whoever loads the module

  use_library(libraries, ask("--variable=includedir"))
  true
end

# The cause comes last: without mkmf's advice on options behind it.
def give_up(cause)
  $makefile_created = true # rubocop:disable Style/GlobalVars
  abort "libkivi: #{cause}"
end

def cmake(*arguments)
  said, status = Open3.capture2e("cmake", *arguments)
  $stderr.puts(said)
  return if status.success?

  causes = said.scan(/^CMake Error.*?\n\n\n|^.*?(?:error|Error): .*$/m).first(8)
  give_up "cmake #{arguments.first} failed\n#{(causes.empty? ? [said.lines.last(10).join] : causes).join("\n")}"
end

def use_bundled
  find_executable("cmake") or
    give_up("there is no CMake here. Install cmake (Debian, Fedora, Alpine), or libkivi itself")
  build = File.join(VENDOR, "build")
  [["-S", VENDOR, "-B", build, "-DCMAKE_BUILD_TYPE=Release", "-DKIVI_TESTS=OFF", "-DKIVI_LANGUAGES=",
    "-DCMAKE_INSTALL_LIBDIR=lib", "-DCMAKE_INSTALL_PREFIX=#{PREFIX}"],
   ["--build", build, "--parallel", "2"], ["--install", build]].each do |arguments|
    cmake(*arguments)
  end
  FileUtils.rm_rf(build)
  use_library(File.join(PREFIX, "lib"), File.join(PREFIX, "include"))
end

# What the module needs of the system, libkivi's own sources have for every system: the module has a copy of that.
def compile_platform
  sources = Dir[File.join(__dir__, "*.c"), File.join(CORE, "base/platform*.c")]
  $srcs = sources.map { |source| File.basename(source) } # rubocop:disable Style/GlobalVars
  $VPATH << File.join(CORE, "base") # rubocop:disable Style/GlobalVars
  $INCFLAGS << " -I#{CORE}" # rubocop:disable Style/GlobalVars
  $defs << "-DKIVI_POSIX" unless RUBY_PLATFORM.include?("linux") # rubocop:disable Style/GlobalVars
end

use_installed || use_bundled
compile_platform
append_cflags(%w[-fvisibility=hidden -fno-strict-aliasing -Wno-declaration-after-statement])
$defs << "-D_GNU_SOURCE" # rubocop:disable Style/GlobalVars
create_makefile("kivi/core")
