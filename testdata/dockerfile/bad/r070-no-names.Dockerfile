FROM a
# args: target=x
