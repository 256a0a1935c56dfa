-- kivi: one key-value API for every store. The module itself is C (kivi_core); this file tells editors its types.
-- What each call does, and by what rules values are stored, stands in README.md.

---@alias kivi.Value any # nil never: a stored null is kivi.null

---@class kivi.Error # printable
---@field code "INVALID"|"UNSUPPORTED"|"TOO_LARGE"|"WRONG_TYPE"|"OVERFLOW"|"CORRUPT"|"UNREPRESENTABLE"|"ABORTED"|"TIMEOUT"|"INTERRUPTED"|"CANCELLED"|"UNAVAILABLE"|"UNCERTAIN"|"BUSY"|"DENIED"|"FORKED"|"CLOSED"|"NO_MEMORY"|"IO"|"INTERNAL"|"NOT_FOUND"|string
---@field name string # the same as a name: "TooLarge"
---@field message string
---@field backend string # "redis"; "" where no store was reached
---@field retryable boolean|"if_idempotent"|"later" # whether doing the same again can help
---@field native_code integer # of the client library or the system, or 0
---@field native_text string # of a store whose codes are text ("OOM" of Redis, an SQLSTATE), or ""
---@field key? string # that it is about
---@field failures? table<integer, kivi.Error> # of a call with many keys, and of a page: the errors of those that failed, by position
---@field results? kivi.Result[]|table<string, kivi.Value>|kivi.Page # what the others gave: of apply, get_many, page
---@field cursor? string # of a scan or page: where another one goes on, behind what this one gave
---@field progress? kivi.Progress # of a copy that did not end
---@field cleared? integer # of a clear that did not end
---@field stored? string # of take and get_and_expire: the bytes of a value that cannot be read; the key still has them

---@class kivi.Options # of every call
---@field timeout? number # seconds; math.huge: as long as it takes

---@class kivi.ReadOptions: kivi.Options
---@field pairs? boolean # maps come as kivi.pairs

---@class kivi.WriteOptions: kivi.Options
---@field wait? boolean # of resty.kivi: false: it is submitted and left to itself
---@field ttl? number|"keep" # seconds until it expires; "keep": an expiry stays; nil: never

---@class kivi.ComputeOptions: kivi.WriteOptions
---@field lease? number # seconds: one process at a time computes, the others wait for its value or for the lease to end

---@class kivi.DeleteOptions: kivi.Options
---@field existed? boolean # false: do not ask whether it was there (cheaper on some stores)

---@class kivi.ScanOptions: kivi.ReadOptions
---@field after? string # only keys beyond this one
---@field cursor? string # go on where a page ended
---@field limit? integer # at most so many pairs
---@field keys? boolean # keys only
---@field ttl? boolean # and the seconds left of each (false: never expires)

---@class kivi.Page
---@field keys string[]
---@field values? kivi.Value[] # as many as keys
---@field ttls? (number|false)[]
---@field cursor? string # where the next page begins; nil: this was the last

---@class kivi.Op
---@field op "set"|"delete"|"touch"|"check"|"increment"
---@field key string
---@field value? kivi.Value
---@field ttl? number|"keep"
---@field by? integer
---@field if? "absent"|"present"
---@field if_equal? kivi.Value
---@field if_version? string

---@class kivi.Result
---@field status string # "OK", "CONDITION", "ABORTED", "NOT_FOUND", or an error's code
---@field existed boolean
---@field integer integer # the sum of an increment
---@field error? kivi.Error

---@class kivi.Results: { [integer]: kivi.Result }
---@field ok boolean # whether it was applied: false where a condition of an atomic batch did not hold

---@class kivi.CopyOptions: kivi.Options
---@field prefix? string
---@field cursor? string # of a copy that did not end
---@field progress? fun(so_far: kivi.Progress): boolean? # after every page; false ends the copy
---@field dry_run? boolean
---@field add_only? boolean
---@field no_expiry? boolean
---@field batch? integer # pairs a page
---@field rate? integer # pairs a second

---@class kivi.Progress
---@field copied integer
---@field skipped integer
---@field bytes integer
---@field elapsed number # seconds
---@field cursor? string

---@class kivi.Event # that on_event is told
---@field kind "call"|"vector"|"retry"|"reconnect"|"sweep"|"dropped"|"other"
---@field scheme string
---@field verb string # "get"; of a vector "read", "write" or "scan"
---@field status string # "OK", "NOT_FOUND", or an error's code
---@field error? string # the name of a failure: "TooLarge"
---@field items integer # keys concerned; of "dropped" how many events had no room
---@field attempt integer # of a retry, from 1
---@field duration number # seconds; 0 where it was not measured
---@field key? string # with the option event_keys, of a call with one key

---@class kivi.Store
---@field get fun(self: kivi.Store, key: string, options?: kivi.ReadOptions): value: kivi.Value?, err: kivi.Error?
---@field get_versioned fun(self: kivi.Store, key: string, options?: kivi.ReadOptions): value: kivi.Value?, version_or_err: string|kivi.Error|nil
---@field exists fun(self: kivi.Store, key: string, options?: kivi.Options): boolean?, kivi.Error?
---@field ttl fun(self: kivi.Store, key: string, options?: kivi.Options): seconds: number?, err: kivi.Error?
---@field set fun(self: kivi.Store, key: string, value: kivi.Value, options?: kivi.WriteOptions): true?, kivi.Error?
---@field add fun(self: kivi.Store, key: string, value: kivi.Value, options?: kivi.WriteOptions): boolean?, kivi.Error?
---@field replace fun(self: kivi.Store, key: string, value: kivi.Value, options?: kivi.WriteOptions): boolean?, kivi.Error?
---@field delete fun(self: kivi.Store, key: string, options?: kivi.DeleteOptions): existed: boolean?, err: kivi.Error?
---@field compare_and_set fun(self: kivi.Store, key: string, old: kivi.Value, new: kivi.Value, options?: kivi.WriteOptions): boolean?, kivi.Error?
---@field compare_and_delete fun(self: kivi.Store, key: string, old: kivi.Value, options?: kivi.Options): boolean?, kivi.Error?
---@field increment fun(self: kivi.Store, key: string, by?: integer, options?: kivi.WriteOptions): sum: integer?, err: kivi.Error?
---@field take fun(self: kivi.Store, key: string, options?: kivi.ReadOptions): kivi.Value?, kivi.Error?
---@field get_and_expire fun(self: kivi.Store, key: string, seconds?: number, options?: kivi.ReadOptions): kivi.Value?, kivi.Error?
---@field expire fun(self: kivi.Store, key: string, seconds: number, options?: kivi.Options): boolean?, kivi.Error?
---@field persist fun(self: kivi.Store, key: string, options?: kivi.Options): boolean?, kivi.Error?
---@field update fun(self: kivi.Store, key: string, compute: (fun(value: kivi.Value?): kivi.Value?), options?: kivi.WriteOptions): true?, kivi.Error?
---@field get_or_set fun(self: kivi.Store, key: string, compute: (fun(): kivi.Value), options?: kivi.ComputeOptions): kivi.Value?, kivi.Error?
---@field get_many fun(self: kivi.Store, keys: string[], options?: kivi.ReadOptions): found: table<string, kivi.Value>?, err: kivi.Error?
---@field set_many fun(self: kivi.Store, pairs: table<string, kivi.Value>, options?: kivi.WriteOptions): true?, kivi.Error?
---@field delete_many fun(self: kivi.Store, keys: string[], options?: kivi.Options): existed: integer?, err: kivi.Error?
---@field apply fun(self: kivi.Store, ops: kivi.Op[], options?: { atomic?: boolean, timeout?: number }): kivi.Results?, kivi.Error?
---@field scan fun(self: kivi.Store, prefix?: string, options?: kivi.ScanOptions): fun(): string, kivi.Value, number|false|nil
---@field keys fun(self: kivi.Store, prefix?: string, options?: kivi.ScanOptions): fun(): string
---@field page fun(self: kivi.Store, prefix?: string, options?: kivi.ScanOptions): kivi.Page?, kivi.Error?
---@field count fun(self: kivi.Store, prefix?: string, options?: kivi.Options): integer?, kivi.Error?
---@field clear fun(self: kivi.Store, prefix?: string, options?: { all?: boolean, timeout?: number }): integer?, kivi.Error?
---@field health fun(self: kivi.Store, options?: kivi.Options): table?, kivi.Error?
---@field capabilities fun(self: kivi.Store): table?, kivi.Error?
---@field stats fun(self: kivi.Store): table?, kivi.Error?
---@field url fun(self: kivi.Store): string # without secrets
---@field scheme fun(self: kivi.Store): string
---@field codec fun(self: kivi.Store): "msgpack"|"json"|"raw"
---@field close fun(self: kivi.Store)

---@class kivi.Pending # a call that was submitted
---@field cancel fun(self: kivi.Pending)

---@class kivi.Queue # for event loops
---@field take fun(self: kivi.Queue, f: fun(pending: kivi.Pending, ...: any)): integer
---@field wait fun(self: kivi.Queue, seconds: number): boolean # until something is done; whether something may be
---@field descriptor fun(self: kivi.Queue): integer
---@field count fun(self: kivi.Queue): integer
---@field close fun(self: kivi.Queue)

---@class kivi
---@field version string
---@field null lightuserdata # a stored null; the same as cjson.null and ngx.null
---@field delete lightuserdata # what a function of update answers to delete the key
---@field leave lightuserdata # what a function of update or get_or_set answers to store nothing
---@field open fun(url: string, options?: table<string, string|number|boolean|fun(event: kivi.Event)>, queue?: kivi.Queue): kivi.Store?, kivi.Error?
---@field copy fun(source: kivi.Store, target: kivi.Store, options?: kivi.CopyOptions): kivi.Progress?, kivi.Error?
---@field stores fun(): { scheme: string, backend: string, summary: string, available: boolean, reason?: string }[]
---@field options fun(scheme: string): table[]?, kivi.Error? # name, type, default, recommended, choices, help, secret, required
---@field queue fun(): kivi.Queue?, kivi.Error?
---@field int fun(value: number|string|userdata): integer # exact up to 64 bits, boxed where numbers are not
---@field float fun(value: number): number # stored as a float also where it has no fraction
---@field bin fun(bytes: string): userdata # stored as bytes also where it is valid UTF-8
---@field Ext fun(type: integer, data: string): userdata # msgpack's other types; .type and .data
---@field timestamp fun(seconds: number, nanoseconds?: integer): userdata # .seconds, .nanoseconds, :tonumber()
---@field array fun(list?: table): table # stored as an array, also when empty
---@field map fun(map?: table): table # stored as a map, also with integer keys
---@field pairs fun(list?: { [1]: any, [2]: any }[]): table # stored as a map of these pairs
---@field type fun(value: any): "null"|"int"|"float"|"bin"|"ext"|"timestamp"|"array"|"map"|"pairs"|"error"|"store"|nil

---@type kivi
return require "kivi_core"
