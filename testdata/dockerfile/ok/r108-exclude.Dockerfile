FROM a
ADD --exclude=*.md --exclude=!keep.md a b
