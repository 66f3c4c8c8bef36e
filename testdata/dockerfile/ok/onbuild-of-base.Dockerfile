FROM a AS tools
FROM trigger
USER x
# args: arg:VERSION=9
