import Foundation
import PackagePlugin

/// Writes which commit is built into a source file, before every build: what `--version` prints.
@main
struct BuildInfo: BuildToolPlugin {
    /// Writes the file anew only when it changes, so that nothing is compiled for nothing.
    private static let script = """
        commit=$(git -C "$1" rev-parse --short=12 HEAD 2>/dev/null) || commit=
        [ -z "$commit" ] || [ -z "$(git -C "$1" status --porcelain --untracked-files=no 2>/dev/null)" ] || commit=$commit+
        text="let buildCommit = \\"${commit:-unknown}\\""
        [ "$(cat "$2" 2>/dev/null)" = "$text" ] || printf '%s\\n' "$text" >"$2"
        """

    func createBuildCommands(context: PluginContext, target: Target) throws -> [Command] {
        let folder = context.pluginWorkDirectoryURL.appendingPathComponent("sources")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        return [
            .prebuildCommand(
                displayName: "Noting the commit", executable: URL(fileURLWithPath: "/bin/sh"),
                arguments: [
                    "-c", Self.script, "sh", context.package.directoryURL.path,
                    folder.appendingPathComponent("Commit.swift").path,
                ],
                outputFilesDirectory: folder)
        ]
    }
}
