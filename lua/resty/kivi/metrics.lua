-- What stores count, as Prometheus reads it: a location of nginx answers metrics.serve().
--
-- Each worker counts what it does. One that is asked knows of the others by a shared dictionary, to which each tells its
-- own once a second; without one it tells of itself alone.
local metrics = {}

local PERIOD = 1 -- seconds between what a worker tells the others
local FORGOTTEN = 60 -- seconds after which a worker that tells nothing more is gone
local FIRST, LAST = 10, 34 -- buckets that are shown: 2^10 ns (1 us) to 2^34 ns (17 s)

local counted = {} -- stores by name
local shared -- the dictionary

-- Names, kinds and helps, in the order in which they are shown. `from`: where it stands in stats().
local families = {
    {name = "kivi_calls_total", from = "calls", help = "Calls that reached the store."},
    {name = "kivi_failures_total", from = "failures", help = "Calls that ended in a failure."},
    {name = "kivi_keys_read_total", from = "reads", help = "Keys read."},
    {name = "kivi_keys_written_total", from = "writes", help = "Keys written."},
    {name = "kivi_vectors_total", from = "vectors", help = "Groups of calls that travelled together."},
    {name = "kivi_vector_items_total", from = "vector_items", help = "Items in them."},
    {name = "kivi_retries_total", from = "retries", help = "Groups sent again."},
    {name = "kivi_reconnects_total", from = "reconnects", help = "Connections that were condemned and opened afresh."},
    {name = "kivi_swept_total", from = "swept", help = "Expired entries removed."},
    {name = "kivi_strangers_total", from = "strangers", help = "Stored names that are not ours, left out of scans."},
    {name = "kivi_lanes", from = "lanes", kind = "gauge", help = "Connections open now."},
    {name = "kivi_lanes_busy", from = "lanes_busy", kind = "gauge", help = "Connections at work now."},
    {name = "kivi_waiting", from = "waiting", kind = "gauge", help = "Calls that wait for a connection now."},
    {name = "kivi_unwaited_total", help = "Writes that nobody waits for, by what became of them."},
    {name = "kivi_call_duration_seconds", kind = "histogram",
        help = "Latency of sampled calls (one in 64 on embedded stores)."}
}

local escapes = {["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n"}

local function add(lines, name, labels, value)
    lines[#lines + 1] = ("%s{%s} %.17g"):format(name, labels, value)
end

local function add_latency(lines, name, labels, latency)
    local total = 0
    for i, count in ipairs(latency.buckets) do -- the i-th ends at 2^i ns
        total = total + count
        if i >= FIRST and i <= LAST then
            add(lines, name .. "_bucket", ('%s,le="%.9g"'):format(labels, 2 ^ i / 1e9), total)
        end
    end
    add(lines, name .. "_bucket", labels .. ',le="+Inf"', total)
    add(lines, name .. "_count", labels, total)
end

local function add_store(lines, labels, stats)
    for _, family in ipairs(families) do
        if family.from then
            add(lines, family.name, labels, stats[family.from])
        end
    end
    for _, outcome in ipairs {"done", "failed", "refused"} do
        add(lines, "kivi_unwaited_total", ('%s,outcome="%s"'):format(labels, outcome), stats.unwaited[outcome])
    end
    add_latency(lines, "kivi_call_duration_seconds", labels, stats.latency)
end

-- This worker's lines.
local function own_lines()
    local lines = {}
    for name, store in pairs(counted) do
        local stats = store:stats()
        if stats then
            local labels = ('store="%s",worker="%d"'):format(name:gsub('[\\"\n]', escapes), ngx.worker.id() or 0)
            add_store(lines, labels, stats)
        end
    end
    return table.concat(lines, "\n")
end

local function tell(premature)
    if not premature then
        shared:set("worker:" .. (ngx.worker.id() or 0), own_lines(), FORGOTTEN)
    end
end

local function all_lines()
    if not shared then
        return {own_lines()}
    end
    tell()
    local told = {}
    for id = 0, ngx.worker.count() - 1 do
        told[#told + 1] = shared:get("worker:" .. id)
    end
    return told
end

-- The lines of a family stand together.
local function text_of(told)
    local by_name, out = {}, {}
    for line in (table.concat(told, "\n") .. "\n"):gmatch("([^\n]+)\n") do
        local name = line:match("^[%w_]+"):gsub("_bucket$", ""):gsub("_count$", "")
        by_name[name] = by_name[name] or {}
        table.insert(by_name[name], line)
    end
    for _, family in ipairs(families) do
        if by_name[family.name] then
            table.insert(out, ("# HELP %s %s"):format(family.name, family.help))
            table.insert(out, ("# TYPE %s %s"):format(family.name, family.kind or "counter"))
            table.insert(out, table.concat(by_name[family.name], "\n"))
        end
    end
    return table.concat(out, "\n") .. "\n"
end

-- In init_worker_by_lua: what is counted, stores of resty.kivi by the names that they are shown under; `dictionary`, the name of a
-- lua_shared_dict, where there are several workers.
function metrics.start(stores, dictionary)
    counted = stores
    shared = dictionary and assert(ngx.shared[dictionary], "there is no lua_shared_dict " .. tostring(dictionary))
    if shared then
        tell()
        assert(ngx.timer.every(PERIOD, tell))
    end
end

-- All of it as text, of every worker that told of itself.
function metrics.text()
    return text_of(all_lines())
end

-- Answers the request with it.
function metrics.serve()
    ngx.header["Content-Type"] = "text/plain; version=0.0.4; charset=utf-8"
    ngx.print(metrics.text())
end

return metrics
