#!/usr/bin/env x
# syntax=other/x
FROM a
