/* The Lua scripts: what Redis has no single command for, judged and done in one step. */
#include "redis.h"

#include <openssl/evp.h>
#include <pthread.h>

/*
 * Numbers in Lua are doubles: values are compared and stored as bytes, and a 64-bit integer is computed as two halves
 * of 32 bits, of which the high one has the sign. Arguments of an operation are kind (s: set, d: delete, t: touch, c: check), condition (kivi_condition), TTL (0: none,
 * k: keep by KEEPTTL, K: keep without it, else ms), value, expected bytes. An operation's answer is a number:
 * 0 done, 1 its condition did not hold, 2 not found; and 4 more where the key was there.
 */
#define SET                                                                                \
    "local function set(k,v,t) "                                                           \
    "if t=='0' then redis.call('SET',k,v) "                                                \
    "elseif t=='k' then redis.call('SET',k,v,'KEEPTTL') "                                  \
    "elseif t=='K' then local p=redis.call('PTTL',k) "                                     \
    "if p<0 then redis.call('SET',k,v) else redis.call('SET',k,v,'PX',math.max(p,1)) end " \
    "else redis.call('SET',k,v,'PX',t) end end "

#define APPLY                                                              \
    SET "local function apply(k,kind,t,v,e) "                              \
        "if kind=='s' then set(k,v,t) "                                    \
        "elseif kind=='d' then if e==1 then redis.call('DEL',k) end "      \
        "elseif kind=='t' then if e==0 then return 2 end "                 \
        "if t=='0' then redis.call('PERSIST',k) "                          \
        "elseif t~='k' and t~='K' then redis.call('PEXPIRE',k,t) end end " \
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

    /*
     * Arguments: high and low half of what to add; TTL of a key that is created (0: none, else ms); k or K, how to keep
     * that of one that is there. Answers the sum as 8 bytes, or 1: it holds no integer, 2: the sum has no place.
     */
    [SCRIPT_INCREMENT] = SET
    "local k,v=KEYS[1],redis.call('GET',KEYS[1]) "
    "local h,l,two=0,0,4294967296 "
    "local function number(i,j) local n=0 "
    "for at=i,j do n=n*256+v:byte(at) end return n end "
    "if v then local b,n=v:byte() or 192,#v "
    "local w=({[204]=1,[205]=2,[206]=4,[207]=8,[208]=1,[209]=2,[210]=4,[211]=8})[b] "
    "if n==1 and b<128 then l=b "
    "elseif n==1 and b>=224 then h,l=-1,two-256+b "
    "elseif not w or n~=w+1 then return 1 "
    "elseif w==8 then h,l=number(2,5),number(6,9) "
    "if h>=2147483648 then if b==207 then return 2 end h=h-two end "
    "else l=number(2,n) "
    "if b>=208 and l>=256^w/2 then h,l=-1,two-256^w+l end end end "
    "h,l=h+ARGV[1],l+ARGV[2] "
    "if l>=two then h,l=h+1,l-two end "
    "if h>2147483647 or h<-2147483648 then return 2 end "
    "local function bytes(n,w) local s='' "
    "for i=1,w do s=string.char(n%256)..s n=math.floor(n/256) end return s end "
    "local c,new=string.char "
    "if h==0 and l<128 then new=c(l) "
    "elseif h==0 and l<256 then new=c(204)..bytes(l,1) "
    "elseif h==0 and l<65536 then new=c(205)..bytes(l,2) "
    "elseif h==0 then new=c(206)..bytes(l,4) "
    "elseif h>0 then new=c(207)..bytes(h,4)..bytes(l,4) "
    "elseif h==-1 and l>=two-32 then new=c(l-two+256) "
    "elseif h==-1 and l>=two-128 then new=c(208)..bytes(l,1) "
    "elseif h==-1 and l>=two-32768 then new=c(209)..bytes(l,2) "
    "elseif h==-1 and l>=two/2 then new=c(210)..bytes(l,4) "
    "else new=c(211)..bytes(h+two,4)..bytes(l,4) end "
    "if v then set(k,new,ARGV[4]) else set(k,new,ARGV[3]) end "
    "return bytes(h<0 and h+two or h,4)..bytes(l,4)",
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
