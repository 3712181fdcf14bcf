import OCCCommandLine

let manCommand = Command(
    name: "man",
    summary: "Prints the program's manual page: what the help of all commands says.",
    usage: "",
    examples: ["occ-gpu man | man -l -", "occ-gpu man > /usr/local/share/man/man1/occ-gpu.1"], options: []
) { _ in
    try emit(OCCGPU.program.manualPage)
}
