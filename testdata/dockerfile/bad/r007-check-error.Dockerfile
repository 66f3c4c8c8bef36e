# check=error=true
FROM a
MAINTAINER x
