#!/bin/sh
# page-size.sh ABI FILE: whether every segment that is loaded is aligned to 16 KB, which Android 15 needs on phones with such pages and
# Google Play asks of every upload. Only 64-bit ABIs have such phones.
set -eu
abi=$1 file=$2
case $abi in
    arm64-v8a|x86_64) ;;
    *) echo "$abi: not held to 16 KB pages"; exit 0 ;;
esac
least=$(LC_ALL=C readelf --program-headers --wide "$file" | awk '$1 == "LOAD" { print $NF }' | sort -u | while read -r align; do
    echo $((align))
done | sort -n | head -n 1)
[ -n "$least" ] || { echo "page-size.sh: $file has no segment to load" >&2; exit 1; }
if [ "$least" -lt 16384 ]; then
    echo "page-size.sh: $abi has a segment aligned to $least bytes, and 16384 are needed" >&2
    exit 1
fi
echo "$abi: segments are aligned to $least bytes"
