# What a Makefile would do, for a system without make: all, install DIRECTORY, clean.
all() { mkdir -p build; printf '#!/bin/sh\necho hello\n' > build/new; chmod +x build/new; mv build/new build/hello; }
install() { mkdir -p "$1/bin" "$1/lib"; cp -p build/hello "$1/bin/"; ln -s ../bin/hello "$1/lib/hello"; }
clean() { rm -rf build; }
"$@"
