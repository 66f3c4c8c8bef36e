FROM public.ecr.aws/lambda/python:3.12
COPY a.txt newdir/
COPY dir/[xs]* dir/.h* dir/ln flat/
COPY ["with blank.txt", "/out/with blank.txt"]
COPY "a.txt" "/quoted.txt"
COPY ../a.txt /up.txt
COPY --exclude=*.md --exclude=**/x.log mix mix
COPY --parents deep/./er/f.txt deep/er/g.* /par/
COPY --chmod=640 a.txt /cm/sub/a.txt
COPY --chown=12:34 dir /co
COPY --link a.txt /link/
COPY . /all/
