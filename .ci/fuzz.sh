#!/usr/bin/env bash
# Fuzzes descriptions of the C interface against the upsample that a Python has installed.
# Usage: .ci/fuzz.sh PYTHON SECONDS [SANITIZERS [CORPUS]], with sanitizers such as address,undefined where that
# upsample was built with them. Without clang's libFuzzer or a shared libpython it says so and succeeds, but fails with
# UPSAMPLE_TESTS_NEED_TOOLS=1.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1 seconds=$2 sanitizers=${3:+,$3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
without() {
    echo "no fuzzing: $1"
    exit "$([ "${UPSAMPLE_TESTS_NEED_TOOLS:-}" = 1 ] && echo 1 || echo 0)"
}
corpus=${4:-$work/corpus}
mkdir -p "$corpus"
# (found, not imported: what was built for a fuzzer has symbols that only a fuzzer has)
read -r include library name site header <<< "$("$python" -P -c 'if True:
    import sysconfig as s, pathlib, importlib.util as u
    ours, numpy = (pathlib.Path(u.find_spec(name).origin).parent for name in ("upsample", "numpy"))
    values = s.get_path("include"), s.get_config_var("LIBDIR"), s.get_config_var("LDLIBRARY")
    print(*values, f"{ours.parent}:{numpy.parent}", ours / "include")')"
if [[ $name != *.so || ! -e $library/$name ]]; then
    without "this Python has no shared library ($library/$name)"
fi
echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return d == 0 && n > 0; }' > "$work/probe.c"
if ! clang -fsanitize=fuzzer "$work/probe.c" -o "$work/probe" 2> "$work/log"; then
    without "clang with libFuzzer is missing ($(tail -1 "$work/log"))"
fi
lib=${name#lib}
clang -std=gnu11 -g -O1 -Wall -Wextra -Werror "-fsanitize=fuzzer$sanitizers" -fno-sanitize-recover=undefined tests/capi/fuzz.c \
    "-I$header" -isystem "$include" "-L$library" "-l${lib%.so}" "-Wl,-rpath,$library" -o "$work/fuzz"
# a table that is too large has to be refused by malloc, soon, and be no finding; the interpreter never frees all of its own
printf 'leak:%s\n' libpython numpy > "$work/leaks"
PYTHONPATH=$site LSAN_OPTIONS="suppressions=$work/leaks:print_suppressions=0" ASAN_OPTIONS=allocator_may_return_null=1:max_allocation_size_mb=512:detect_leaks=1 \
    "$work/fuzz" "-max_total_time=$seconds" -timeout=60 -rss_limit_mb=0 -malloc_limit_mb=0 -max_len=500 -print_final_stats=1 \
    "-artifact_prefix=$PWD/" "$corpus" > "$work/log" 2>&1 || { tail -60 "$work/log"; exit 1; }
grep -E "^Done|exec_per_sec" "$work/log"
grep -E "kernels executed: [1-9]" "$work/log"
