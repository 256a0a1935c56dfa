# kivi_flags: the language, warnings and sanitizers of everything that is compiled here.
add_library(kivi_flags INTERFACE)
target_compile_definitions(kivi_flags INTERFACE _GNU_SOURCE $<$<BOOL:${KIVI_POSIX}>:KIVI_POSIX>)
target_compile_options(kivi_flags INTERFACE
    -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes
    -Wwrite-strings -Wvla -fvisibility=hidden
    $<$<BOOL:${KIVI_WERROR}>:-Werror>)
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
find_package(Threads REQUIRED)
target_link_libraries(kivi_flags INTERFACE Threads::Threads ${CMAKE_DL_LIBS} m)

if(KIVI_SANITIZE)
    set(kivi_sanitizers -fsanitize=${KIVI_SANITIZE} -fno-sanitize-recover=all
        -fno-omit-frame-pointer)
    if(KIVI_FUZZ)
        list(APPEND kivi_sanitizers -fsanitize=fuzzer-no-link)
    endif()
    # gcc takes what the sanitizers insert for reads of what was never set.
    target_compile_options(kivi_flags INTERFACE ${kivi_sanitizers}
        $<$<C_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
    target_link_options(kivi_flags INTERFACE ${kivi_sanitizers})
endif()
if(KIVI_COVERAGE)
    target_compile_options(kivi_flags INTERFACE --coverage)
    target_link_options(kivi_flags INTERFACE --coverage)
endif()
