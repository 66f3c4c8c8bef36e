FROM --platform=linux/x86_64 a
# args: arch=amd64
