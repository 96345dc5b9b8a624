-- Asks Keyturn whether a request may pass. In haproxy.cfg: http-request lua.keyturn keyturn_require=read:orders/*
--
-- Sets txn.keyturn_status to 200, 401, 403 or 503, and txn.keyturn_challenge; on 200, the X-Keyturn-* headers of the
-- request. The rules after it do the rest. HAProxy 2.5 or newer, with Lua.

local keyturn = "http://127.0.0.1:8080" -- an address: the HTTP client knows names only with a `resolvers` section
local timeout = 500 -- milliseconds of each attempt; HAProxy makes up to four

local identity = {
    "x-keyturn-client-id", "x-keyturn-organization", "x-keyturn-scope", "x-keyturn-key-name", "x-keyturn-token-id",
    "x-keyturn-external-id",
}

local function first(values)
    return values and values[0] or ""
end

-- All values of a header, as they came: two credentials are for Keyturn to refuse.
local function copy(from, to, name)
    if not from[name] then return end
    local values = {}
    for index = 0, #from[name] do values[#values + 1] = from[name][index] end
    to[name] = values
end

core.register_action("keyturn", { "http-req" }, function(txn, question)
    txn:set_var("txn.keyturn_status", 503)
    txn:set_var("txn.keyturn_challenge", "")
    local sent = txn.http:req_get_headers()
    local headers = {
        ["x-forwarded-for"] = { txn.f:src() },
        ["x-original-method"] = { txn.f:method() },
        ["x-original-uri"] = { txn.f:path() },
    }
    copy(sent, headers, "authorization")
    copy(sent, headers, "x-api-key")
    copy(sent, headers, "x-request-id")

    local answer = core.httpclient():get {
        url = keyturn .. "/verify?" .. question, headers = headers, timeout = timeout,
    }
    if not answer then return end
    if answer.status == 401 or answer.status == 403 then
        txn:set_var("txn.keyturn_challenge", first(answer.headers["www-authenticate"]))
        txn:set_var("txn.keyturn_status", answer.status)
    elseif answer.status == 200 and first(answer.headers["x-keyturn-client-id"]) ~= "" then
        for _, name in ipairs(identity) do
            txn.http:req_set_header(name, first(answer.headers[name]))
        end
        txn:set_var("txn.keyturn_status", 200)
    end
end, 1)
