# Completion of the kivi command for bash.

# Schemes alone: they come from the names of plugins' files, and bash carries out what it finds in words.
_kivi_schemes()
{
    kivi stores 2>/dev/null | sed 's/[[:space:]].*//' | grep -E '^[a-z][a-z0-9+.-]*$' | sed 's/$/:/'
}

# The options of a verb; a test compares them with `kivi help --list`.
_kivi_options()
{
    local store='--store --option --timeout --help'
    local in='--raw --text --stored'
    local page='--escaped --json --limit --after --page --cursor --expiry'
    local moving='--escaped --prefix --add-only --dry-run --batch --quiet --json'

    case $1 in
        get) echo "$store --escaped --json --raw --stored --touch --versioned" ;;
        set) echo "$store --escaped $in --ttl --keep-ttl" ;;
        delete) echo "$store --escaped" ;;
        exists) echo "$store --escaped --json" ;;
        add) echo "$store --escaped $in --ttl" ;;
        replace) echo "$store --escaped $in --ttl --keep-ttl" ;;
        cas) echo "$store --escaped $in --ttl --keep-ttl" ;;
        compare-and-delete) echo "$store --escaped $in" ;;
        increment) echo "$store --escaped --ttl" ;;
        take) echo "$store --escaped --json --raw --stored" ;;
        apply) echo "$store --json --atomic" ;;
        scan) echo "$store $page" ;;
        keys) echo "$store $page" ;;
        count) echo "$store --escaped" ;;
        ttl) echo "$store --escaped --json" ;;
        expire) echo "$store --escaped" ;;
        persist) echo "$store --escaped" ;;
        clear) echo "$store --escaped --all --yes" ;;
        import) echo "$store $moving --ttl --format --at --key" ;;
        export) echo "$store --escaped --format --no-expiry --quiet" ;;
        copy) echo "--help --timeout $moving --no-expiry --resume --rate" ;;
        health) echo "$store --json" ;;
        capabilities) echo "$store --json" ;;
        stats) echo "$store --json" ;;
        options) echo "--help --json" ;;
        stores) echo "--help --json" ;;
        version) echo "--help" ;;
        help) echo "--help --list" ;;
        *) echo "--store --option --timeout --help --version" ;;
    esac
}

_kivi_verbs='get set delete exists add replace cas compare-and-delete increment take apply scan keys
count ttl expire persist clear import export copy health capabilities stats options stores version help'

# Puts the verb into $verb and the number of words after it, but for the one at the cursor, into $place.
_kivi_find_verb()
{
    local i word

    verb='' place=0
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
            # bash splits words at = and : as well.
            = | :) ((i++)) ;;
            -s | -o | -n | --store | --option | --timeout | --ttl | --touch | --limit | --after | --cursor | \
                --format | --at | --key | --prefix | --resume | --rate | --batch)
                ((i++))
                while [[ ${COMP_WORDS[i + 1]} == [:=]* ]]; do ((i += 2)); done
                ;;
            -*) ;;
            *)
                if [[ -z $verb ]]; then verb=$word; else ((place++)); fi
                while [[ ${COMP_WORDS[i + 1]} == [:=]* ]]; do ((i += 2)); done
                ;;
        esac
    done
}

_kivi()
{
    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local verb place

    COMPREPLY=()
    case $before in
        -s | --store)
            COMPREPLY=($(compgen -W "$(_kivi_schemes)" -- "$current"))
            compopt -o nospace 2>/dev/null
            return
            ;;
        --format)
            COMPREPLY=($(compgen -W 'lines object' -- "$current"))
            return
            ;;
        --resume)
            COMPREPLY=($(compgen -f -- "$current"))
            return
            ;;
        -o | -n | --option | --timeout | --ttl | --touch | --limit | --after | --cursor | --at | --key | \
            --prefix | --rate | --batch)
            return
            ;;
    esac
    _kivi_find_verb
    if [[ $current == -* ]]; then
        COMPREPLY=($(compgen -W "$(_kivi_options "$verb")" -- "$current"))
        return
    fi
    case $verb in
        '') COMPREPLY=($(compgen -W "$_kivi_verbs" -- "$current")) ;;
        help) COMPREPLY=($(compgen -W "$_kivi_verbs values keys exit" -- "$current")) ;;
        options) COMPREPLY=($(compgen -W "$(_kivi_schemes | tr -d :)" -- "$current")) ;;
        import | apply) COMPREPLY=($(compgen -f -- "$current")) ;;
        copy)
            COMPREPLY=($(compgen -W "$(_kivi_schemes)" -- "$current"))
            compopt -o nospace 2>/dev/null
            ;;
        get | delete | exists | take | ttl | expire | persist | scan | keys | count | clear | export | \
            increment | replace | cas | compare-and-delete)
            # Keys of the store, where KIVI_URL names it; only for words that need no quoting.
            if [[ -n $KIVI_URL && -n $current && $place -eq 0 ]]; then
                COMPREPLY=($(compgen -W "$(kivi keys --limit 50 --timeout 1 -- "$current" 2>/dev/null |
                    grep -E '^[A-Za-z0-9._/-]+$')" -- "$current"))
            fi
            ;;
    esac
}

complete -F _kivi kivi
