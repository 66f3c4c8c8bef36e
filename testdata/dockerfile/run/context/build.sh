#!/bin/sh
set -e
echo "$# $2" > arguments
for name in a b; do
  mkdir -p "built/$name"
  echo "$name" > "built/$name/file"
done
chmod -R go-w built
