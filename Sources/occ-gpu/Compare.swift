import OCCCommandLine
import OneClass

let compareCommand = Command(
    name: "compare",
    summary: "Compares runs in one table: the settings that differ, and how they do; seeds are averaged.",
    usage: "RUN...",
    examples: [
        "occ-gpu compare runs/a runs/b", "occ-gpu compare runs --report comparison.html",
        "occ-gpu compare runs/wide-seed-* runs/narrow-seed-* --json",
    ],
    options: [
        Option("report", "FILE", "Write a page with the table and the loss curves: one HTML file."),
        Option("json", nil, "Print JSON."),
    ], takesWords: true
) { arguments in
    guard !arguments.positionals.isEmpty else {
        throw OCCError(
            .usage, "which runs?", remedy: "Name the folders of runs, or a folder that holds some.")
    }
    let runs = try RunComparison.folders(arguments.positionals).map { try RunSummary($0) }
    let comparison = try RunComparison(runs)
    for remark in runs.compactMap(\.remark) { say(remark) }
    if let path = arguments["report"] {
        AtomicFile.removeStrays(beside: path)
        try AtomicFile.write(Array(comparison.html().utf8), to: path)
        say("wrote \(path)")
    }
    try emit(arguments.has("json") ? try comparison.json() : comparison.text)
}
