FROM a
ARG X=1
COPY <<E /x
$X ${N:-d} "q" \$X \\
E
