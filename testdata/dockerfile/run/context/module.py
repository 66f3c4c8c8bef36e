def write(path):
    with open(path, "w") as file:
        file.write("by a module\n")
