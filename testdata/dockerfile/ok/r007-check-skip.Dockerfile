# check=skip=MaintainerDeprecated
FROM a
MAINTAINER x
