#compdef kivi
# Completion of the kivi command for zsh: put it as _kivi into a folder of $fpath.

_kivi_url()
{
    setopt localoptions extendedglob
    # Schemes alone: they come from the names of plugins' files.
    local -a schemes
    schemes=(${(M)${${(f)"$(kivi stores 2>/dev/null)"}%%[[:space:]]*}:#[a-z][a-z0-9+.-]#})
    compadd -S : -- $schemes
}

_kivi_verbs()
{
    local -a verbs
    verbs=(
        'get:Print the value of a key, or of several'
        'set:Write a value, or several pairs'
        'delete:Delete keys'
        'exists:Tell whether keys are there'
        'add:Write a value if the key is not there'
        'replace:Write a value if the key is there'
        'cas:Write NEW if the key holds OLD (compare and set)'
        'compare-and-delete:Delete a key if it holds OLD'
        'increment:Add to a whole number and print the sum'
        'take:Print a value and delete its key, in one step'
        'apply:Carry out operations from a file, - for standard input'
        'scan:Print all pairs whose key begins with PREFIX'
        'keys:Print all keys that begin with PREFIX'
        'count:Print how many keys begin with PREFIX'
        'ttl:Print how many seconds a key has left, or never'
        'expire:Let a key expire that many seconds from now'
        'persist:Let a key never expire'
        'clear:Delete all keys that begin with PREFIX and print how many'
        'import:Write pairs from a JSON file, - for standard input'
        'export:Print all pairs as JSON that import reads'
        'copy:Copy pairs from one store into another, with the time they have left'
        'health:Ask the store whether it works'
        'capabilities:Print what the store can do, and its limits'
        'stats:Print the counters of this own work on the store'
        'options:Print the options of a kind of store'
        'stores:Print the kinds of stores, and why one is not available'
        'version:Print the version'
        'help:Print help'
    )
    _describe -t verbs verb verbs
}

# What each option takes; which of them a verb has is asked of the command.
_kivi_options()
{
    typeset -gA _kivi_option_specs
    _kivi_option_specs=(
        store '--store=[the store, as lmdb\:data.mdb; else the variable KIVI_URL]:URL:_kivi_url'
        option '*--option=[an option of the store (kivi options SCHEME)]:NAME=VALUE: '
        timeout '--timeout=[how long each call of the store may take]:SECONDS: '
        help '--help[show this help]'
        version '--version[show the version]'
        escaped '--escaped[keys and prefixes are given with xNN escapes]'
        json '--json[print JSON for programs, an object on each line]'
        raw '--raw[the value is bytes; no JSON, no quotes, no newline]'
        text '--text[the value is text without quotes]'
        stored '--stored[the value is the stored bytes, whatever they mean]'
        ttl '--ttl=[the key expires after that time]:SECONDS: '
        keep-ttl '--keep-ttl[an expiry that the key has stays]'
        touch '--touch=[let the key expire after that time, in the same step]:SECONDS: '
        versioned '--versioned[print key, value and version as a JSON object]'
        atomic '--atomic[all operations happen or none]'
        limit '--limit=[print at most so many]:COUNT: '
        after '--after=[begin beyond this key]:KEY: '
        page '--page[one page of --limit pairs (1,000), then the next one’s cursor]'
        cursor '--cursor=[go on where a --page ended]:CURSOR: '
        expiry '--expiry[print when each key expires]'
        all '--all[everything, also where others’ keys lie among ours]'
        yes '--yes[do not ask]'
        format '--format=[lines or object]:format:(lines object)'
        at '--at=[take the part of the document at this JSON pointer]:POINTER: '
        key '--key=[the member of each element that holds its key]:FIELD: '
        prefix '--prefix=[import - put it before each key; copy - only such keys]:PREFIX: '
        add-only '--add-only[leave keys alone that are there already]'
        no-expiry '--no-expiry[leave expiries out]'
        dry-run '--dry-run[read and check everything, write nothing]'
        resume '--resume=[go on from there; a file is kept up to date]:file or cursor:_files'
        rate '--rate=[at most so many pairs a second]:PAIRS: '
        batch '--batch=[pairs in one write (1,000)]:PAIRS: '
        quiet '--quiet[no progress, no summary]'
        list '--list[verbs and their options, for programs]'
    )
}

_kivi_rest()
{
    local verb=$1 line name
    local -a specs
    _kivi_options
    line=${(M)${(f)"$(kivi help --list 2>/dev/null)"}:#$verb *}
    for name in ${=line#* }; do
        specs+=("${_kivi_option_specs[${name#--}]}")
    done
    case $verb in
        import | apply) specs+=('1:file:_files') ;;
        copy) specs+=('1:source URL:_kivi_url' '2:target URL:_kivi_url') ;;
        options) specs+=('1:scheme:_kivi_url') ;;
        help) specs+=('1:verb:_kivi_verbs') ;;
        *) specs+=('*: :') ;;
    esac
    _arguments -s $specs
}

_kivi()
{
    local curcontext=$curcontext state line
    _arguments -C \
        '(-s --store)'{-s,--store=}'[the store]:URL:_kivi_url' \
        '*'{-o,--option=}'[an option of the store]:NAME=VALUE: ' \
        '--timeout=[how long each call of the store may take]:SECONDS: ' \
        '(-h --help)'{-h,--help}'[show help]' \
        '--version[show the version]' \
        '1: :_kivi_verbs' \
        '*:: :->rest'
    [[ $state == rest ]] && _kivi_rest $line[1]
}

_kivi "$@"
