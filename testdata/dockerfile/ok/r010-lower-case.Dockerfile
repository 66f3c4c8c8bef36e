from a as b
run x
from b
