-- For wrk: how many answers came with each status, and the longest wait.
local counts = {}
local threads = {}

function setup(thread)
    table.insert(threads, thread)
end

function init()
    codes = ""
end

function response(status)
    counts[status] = (counts[status] or 0) + 1
    if counts[status] == 1 then
        codes = codes .. status .. " "
    end
    _G["status_" .. status] = counts[status]
end

function done(summary, latency)
    for _, thread in ipairs(threads) do
        for status in thread:get("codes"):gmatch("%d+") do
            print("status " .. status .. " " .. thread:get("status_" .. status))
        end
    end
    print("longest " .. math.floor(latency.max))
end
