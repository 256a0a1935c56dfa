-- Writes that nobody waits for, `{wait = false}`: how many there were, and who is told of those that failed.
local worker = require "resty.kivi.worker"

local QUIET = 1 -- seconds between lines of the log about failures of one store

local unwaited = {}

local function copy(options, without)
    local own = {}
    for name, value in pairs(options) do
        if name ~= without then
            own[name] = value
        end
    end
    return own
end

-- Whether nobody waits, and the options without `wait`.
function unwaited.split(name, options)
    local wait = options.wait
    if type(wait) ~= "boolean" then
        error(("bad argument to '%s' (option 'wait' must be a boolean)"):format(name), 3)
    end
    return not wait, copy(options, "wait")
end

-- The options of open without `on_failure`, and that.
function unwaited.hook(options)
    local on_failure = type(options) == "table" and options.on_failure or nil
    if not on_failure then
        return options
    elseif type(on_failure) ~= "function" then
        error("bad argument #2 to 'open' (option 'on_failure' must be a function)", 3)
    end
    return copy(options, "on_failure"), on_failure
end

local function counts_of(self)
    local counts = self.unwaited
    if not counts then
        counts = {submitted = 0, done = 0, failed = 0, refused = 0}
        self.unwaited = counts
    end
    return counts
end

-- What stats() says of them: each is done, failed, or still in flight; a refused one was never submitted.
function unwaited.counts(self)
    return copy(counts_of(self))
end

local function log_failure(self, err, name)
    self.unlogged = (self.unlogged or 0) + 1
    if ngx.now() - (self.logged_at or 0) < QUIET then
        return
    end
    ngx.log(ngx.ERR, "kivi: ", self.unlogged, " write(s) that nobody waits for failed, the last, ", name, ": ", tostring(err))
    self.logged_at, self.unlogged = ngx.now(), 0
end

local function tell(self, err, name)
    if not self.on_failure then
        return log_failure(self, err, name)
    end
    local ok, why = pcall(self.on_failure, err, name)
    if not ok then
        ngx.log(ngx.ERR, "kivi: on_failure: ", tostring(why))
    end
end

local function end_one(self, name, value, err)
    local counts = counts_of(self)
    if value == nil and err then
        counts.failed = counts.failed + 1
        tell(self, err, name)
    else
        counts.done = counts.done + 1
    end
end

-- What is told how such a write ended: one function for all of a store and name.
local function ender(self, name)
    local enders = self.enders
    if not enders then
        enders = {}
        self.enders = enders
    end
    if not enders[name] then
        enders[name] = function(value, err)
            end_one(self, name, value, err)
        end
    end
    return enders[name]
end

-- After the call: `result` is its pending call, or what it answered where it was made at once.
function unwaited.made(self, name, submits, result, err)
    local counts = counts_of(self)
    if result == nil and err then
        counts.refused = counts.refused + 1
        return nil, err
    end
    counts.submitted = counts.submitted + 1
    if submits then
        worker.leave(result, ender(self, name))
    else
        end_one(self, name, result, err)
    end
    return true
end

return unwaited
