SETTING="from a file"
