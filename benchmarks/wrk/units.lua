-- 5,000 users with 1 kB bodies; the unit is in a header and in the body. Prints one line for the harness.
local requests, at = {}, 0

function init(args)
  local numbers = {}
  for i = 1, 100 do numbers[i] = string.format("%d.5", i) end
  for i = 1, 5000 do
    local user = string.format("user-%06d", i)
    local body = '{"user":"' .. user .. '","inputs":[{"name":"x","shape":[1,100],"datatype":"FP64","data":['
      .. table.concat(numbers, ",") .. ']}]}'
    body = body .. string.rep(" ", 1000 - #body)
    requests[i] = wrk.format("POST", "/v2/models/m/infer",
      { ["Content-Type"] = "application/json", ["Accept"] = "*/*", ["X-User-Id"] = user }, body)
  end
end

function request()
  at = at % 5000 + 1
  return requests[at]
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d\n", summary.requests, summary.duration,
    e.connect + e.read + e.write + e.timeout + e.status, latency:percentile(50), latency:percentile(99)))
end
