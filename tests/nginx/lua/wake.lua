-- A wake-up socket, driven by a line on standard input each: what it did is printed. In any LuaJIT, without nginx.
local ffi = require "ffi"
local kivi = require "kivi"

ffi.cdef [[
int socket(int domain, int type, int protocol);
struct address { unsigned short family; char path[108]; };
int connect(int fd, const struct address *address, unsigned size);
long recv(int fd, void *buffer, size_t size, int flags);
int close(int fd);
]]
local DONTWAIT = 0x40

local queue = assert(kivi.queue())
local store = assert(kivi.open("memory:?shape=stepped", nil, queue))
local wake = assert(kivi.loop.wake(queue))
local own

local function say(...)
    print(...)
    io.stdout:flush()
end

local function connect()
    local address = ffi.new("struct address", {family = 1, path = wake:path()})
    own = ffi.C.socket(1, 1, 0)
    return ffi.C.connect(own, address, ffi.sizeof(address))
end

local function bytes()
    local buffer = ffi.new("char[64]")
    return tonumber(ffi.C.recv(own, buffer, 64, DONTWAIT))
end

local steps = {}

function steps.path()
    say(wake:path())
end

function steps.accept()
    local ok, err = wake:accept()
    say(ok and "accepted" or err)
end

function steps.connect()
    say(connect())
end

function steps.call()
    store:get("key")
    local got = -1
    while got < 0 do
        got = bytes()
    end
    say(got, queue:take(function() end), bytes())
end

function steps.close()
    wake:close()
    say(bytes(), pcall(wake.accept, wake))
end

for line in io.lines() do
    steps[line]()
end
