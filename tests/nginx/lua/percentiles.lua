-- For wrk: the requests and the time they took, and percentiles, in microseconds.
function done(summary, latency)
    print(("requests %d %d"):format(summary.requests, summary.duration))
    print(("percentiles %.0f %.0f %.0f"):format(latency:percentile(50), latency:percentile(99),
        latency:percentile(99.9)))
end
