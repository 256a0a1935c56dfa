/* The Lua scripts: what Redis has no single command for, judged and done in one step. */
#include "redis.h"

#include <openssl/evp.h>
#include <pthread.h>

/*
 * Numbers in Lua are doubles, so nothing is computed here: values are compared and stored as bytes. Arguments
 * of an operation are kind (s: set, d: delete, t: touch, c: check), condition (kivi_condition), TTL (0: none,
 * k: keep by KEEPTTL, K: keep without it, else ms), value, expected bytes. An operation's answer is a number:
 * 0 done, 1 its condition did not hold, 2 not found; and 4 more where the key was there.
 */
#define APPLY                                                                              \
    "local function set(k,v,t) "                                                           \
    "if t=='0' then redis.call('SET',k,v) "                                                \
    "elseif t=='k' then redis.call('SET',k,v,'KEEPTTL') "                                  \
    "elseif t=='K' then local p=redis.call('PTTL',k) "                                     \
    "if p<0 then redis.call('SET',k,v) else redis.call('SET',k,v,'PX',math.max(p,1)) end " \
    "else redis.call('SET',k,v,'PX',t) end end "                                           \
    "local function apply(k,kind,t,v,e) "                                                  \
    "if kind=='s' then set(k,v,t) "                                                        \
    "elseif kind=='d' then if e==1 then redis.call('DEL',k) end "                          \
    "elseif kind=='t' then if e==0 then return 2 end "                                     \
    "if t=='0' then redis.call('PERSIST',k) "                                              \
    "elseif t~='k' and t~='K' then redis.call('PEXPIRE',k,t) end end "                     \
    "return 0 end "

static const char *const texts[SCRIPT_COUNT] = {
    [SCRIPT_ITEM] = APPLY "local k,c=KEYS[1],ARGV[2] "
                          "local e=redis.call('EXISTS',k) "
                          "if c=='3' then local v=redis.pcall('GET',k) "
                          "if type(v)=='table' then return v end "
                          "if v~=ARGV[5] then return e*4+1 end "
                          "elseif c=='1' and e==1 or c=='2' and e==0 then return e*4+1 end "
                          "return e*4+apply(k,ARGV[1],ARGV[3],ARGV[4],e)",

    /* A number n: the condition of the n-th did not hold; -n: it holds no plain value. Else all answers as digits. */
    [SCRIPT_ATOMIC] = APPLY "local there,codes={},{} "
                            "for i=1,#KEYS do local k,o=KEYS[i],(i-1)*5 "
                            "local c,e=ARGV[o+2],redis.call('EXISTS',k) "
                            "there[i]=e "
                            "if c=='3' then local v=redis.pcall('GET',k) "
                            "if type(v)=='table' then return -i end "
                            "if v~=ARGV[o+5] then return i end "
                            "elseif c=='1' and e==1 or c=='2' and e==0 then return i end end "
                            "for i=1,#KEYS do local o,e=(i-1)*5,there[i] "
                            "codes[i]=e*4+apply(KEYS[i],ARGV[o+1],ARGV[o+3],ARGV[o+4],e) end "
                            "return table.concat(codes)",

    /* The argument: d: delete; 0: persist; else ms. */
    [SCRIPT_TAKE] = "local k,t=KEYS[1],ARGV[1] "
                    "local v=redis.pcall('GET',k) "
                    "if v and type(v)~='table' then "
                    "if t=='d' then redis.call('DEL',k) "
                    "elseif t=='0' then redis.call('PERSIST',k) "
                    "else redis.call('PEXPIRE',k,t) end end "
                    "return v",
};

static char names[SCRIPT_COUNT][41];
static bool prepared;

static bool name_script(redis_script script)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;

    if (!EVP_Digest(texts[script], strlen(texts[script]), digest, &size, EVP_sha1(), NULL) || size != 20)
        return false;
    for (unsigned i = 0; i < size; i++) {
        names[script][2 * i] = "0123456789abcdef"[digest[i] >> 4];
        names[script][2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    return true;
}

static void prepare(void)
{
    prepared = true;
    for (int i = 0; i < SCRIPT_COUNT; i++)
        prepared = prepared && name_script((redis_script)i);
}

bool kvi_redis_scripts_prepare(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, prepare);
    return prepared;
}

kivi_slice kvi_redis_script_text(redis_script script)
{
    return kivi_str(texts[script]);
}

const char *kvi_redis_script_name(redis_script script)
{
    return names[script];
}
