#!/bin/sh
# Puts an Android archive together out of compiled classes and libraries.
#
#   aar.sh --classes FOLDER... --library ABI=FILE... --out FILE
#
# An AAR is a zip: AndroidManifest.xml, classes.jar, proguard.txt, and jni/ABI/*.so. Libraries are stripped here and nowhere earlier,
# because the generator of the sources reads their symbols. Each is checked for two things that a store refuses or a user feels: segments
# aligned to 16 KB pages, and a size within budget (size-budget.txt). An ABI named `host` is this machine's: it is put into the archive
# under its own name, which no phone loads, and is not held to the alignment, which linkers give to Android targets alone.
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
classes= libraries= out=
while [ $# -gt 1 ]; do
    case $1 in
        --classes) classes="$classes $2" ;;
        --library) libraries="$libraries $2" ;;
        --out) out=$2 ;;
        *) echo "aar.sh: unknown option $1" >&2; exit 2 ;;
    esac
    shift 2
done
[ -n "$classes" ] && [ -n "$libraries" ] && [ -n "$out" ] || { echo "aar.sh: --classes, --library and --out are needed" >&2; exit 2; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$work/classes" "$work/aar"
for folder in $classes; do
    # The generated sources and the face; nothing of what they depend on, which the POM names.
    cp -R "$folder/." "$work/classes"
done
jar --create --file "$work/aar/classes.jar" -C "$work/classes" .
cp "$here/consumer-rules.pro" "$work/aar/proguard.txt"
cp "$here/AndroidManifest.xml" "$work/aar/AndroidManifest.xml"
: > "$work/aar/R.txt"

for entry in $libraries; do
    abi=${entry%%=*} file=${entry#*=}
    mkdir -p "$work/aar/jni/$abi"
    stripped="$work/aar/jni/$abi/librcseal_sdk.so"
    "${STRIP:-strip}" --strip-unneeded -o "$stripped" "$file"
    bytes=$(wc -c < "$stripped")
    # A build for development is larger than what is shipped and has no budget.
    budget=$(awk -v abi="$abi" '$1 == abi { print $2 }' "$here/size-budget.txt")
    if [ -z "$budget" ]; then
        echo "aar.sh: size-budget.txt has no line for $abi" >&2
        exit 1
    fi
    echo "$abi: $bytes bytes of $budget"
    if [ "$budget" != none ] && [ "$bytes" -gt "$budget" ]; then
        echo "aar.sh: $abi is over its budget" >&2
        exit 1
    fi
    sh "$here/scripts/page-size.sh" "$abi" "$stripped"
done

mkdir -p "$(dirname -- "$out")"
rm -f "$out"
jar --create --no-manifest --file "$out" -C "$work/aar" .
echo "wrote $(basename -- "$out")"
