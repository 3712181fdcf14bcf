import Foundation
import OCCEngine
import TestSupport
import Testing
import occ_gpu

/// What `doctor` says of this machine, and of others that it is told of.
@Suite struct DoctorTests {
    private static func report(_ outcome: Outcome) throws -> (all: [String: [String: Any]], problems: Int) {
        let report = try #require(
            try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
        let findings = try #require(report["findings"] as? [[String: Any]])
        let named = findings.map { ($0["name"] as? String ?? "", $0) }
        return (Dictionary(named) { first, _ in first }, report["problems"] as? Int ?? -1)
    }

    /// Versions are those that pkg-config knows, the free disk what `df` says, the threads what `nproc`
    /// counts.
    @Test func findingsAreTheMachines() throws {
        let folder = try TemporaryFolder()
        let outcome = try run(
            ["doctor", "--json", "--out", folder.file("runs")], in: folder, environment: ["OCC_DEVICE": "cpu"]
        )
        let (all, problems) = try Self.report(outcome)
        #expect(outcome.status == (problems == 0 ? 0 : 1), "\(outcome.errors)")
        let versions = try shell(
            "for l in libpng libtiff-4 libwebp libdeflate zlib openblas; do pkg-config --modversion $l; done; "
                + "df --output=avail -B1 . | tail -1; nproc", in: folder
        ).output.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
        let images = try #require(all["image libraries"])
        for (name, version) in zip(["libpng", "libtiff", "libwebp", "libdeflate", "zlib"], versions) {
            #expect(images[name] as? String == version, "\(name)")
        }
        #expect(all["BLAS"]?["version"] as? String == versions[5])
        let free = try #require(all["disk for runs"]?["free_bytes"] as? Double)
        let expected = try #require(Double(versions[6]))
        // Others write meanwhile.
        #expect(abs(free - expected) <= 0.05 * expected + 1e9)
        #expect(all["threads"]?["threads"] as? Int == Int(versions[7]))
        #expect(all["variables"]?["set"] as? [String: String] == ["OCC_DEVICE": "cpu"])
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder.path).allSatisfy {
                !$0.hasPrefix(".occ")
            })
    }

    /// What would stop a run is a problem and an exit code, and says what to do.
    @Test func problemsHaveAnExitCode() throws {
        let folder = try TemporaryFolder()
        try folder.write([1], to: "file")
        let outcome = try run(
            ["doctor", "--json", "--out", folder.file("file/runs")], in: folder,
            environment: ["OCC_DEVICE": "gpu", "OCC_KERNEL_CACHE": "/proc/occ", "OCC_SIDM": "avx2"])
        let (all, problems) = try Self.report(outcome)
        #expect(outcome.status == 1 && problems >= 2)
        #expect(all["disk for runs"]?["status"] as? String == "problem")
        #expect(all["variables"]?["status"] as? String == "problem")
        #expect((all["variables"]?["remedy"] as? String)?.contains("cuda:1") == true)
        #expect(all["kernel cache"]?["status"] as? String == "note")
        #expect(all["kernel cache"]?["writable"] as? Bool == false)
        let plain = try run(
            ["doctor"], in: folder, environment: ["OCC_DEVICE": "cuda:77", "OCC_SIDM": "avx2"])
        #expect(plain.status == 1)
        #expect(plain.output.contains("problem  GPU"), "\(plain.output)")
        #expect(plain.output.contains("-> Did you mean OCC_SIMD?"), "\(plain.output)")
        #expect(plain.output.split(separator: "\n").count <= 30)
    }

    @Test func limitsOfGroupsAreTheLowest() throws {
        let folder = try TemporaryFolder()
        func group(_ name: String, _ memory: String, _ cores: String) throws {
            try folder.write(Array("\(memory)\n".utf8), to: "\(name)/memory.max")
            try folder.write(Array("\(cores)\n".utf8), to: "\(name)/cpu.max")
            try folder.write(Array("1000\n".utf8), to: "\(name)/memory.current")
        }
        try folder.write(Array("1:name=systemd:/x\n0::/slurm/job\n".utf8), to: "own")
        try group("slurm", "4000000000", "150000 100000")
        try group("slurm/job", "max", "max 100000")
        try group("slurm/other", "5", "1 100000")
        let limits = ContainerLimits(root: folder.path, membership: folder.file("own"))
        #expect(limits.memory == 4_000_000_000 && limits.memoryInUse == 1000 && limits.cores == 1.5)
        #expect(Checkup.threads(4, limits: limits).remedy?.contains("--threads 1") == true)
        #expect(Checkup.threads(1, limits: limits).status == .ok)
        #expect(Checkup.memory(free: 1 << 40, limits: limits).values["free_bytes"] == .integer(3_999_999_000))
        #expect(Checkup.memory(free: 1 << 20, limits: limits).status == .problem)
        let none = ContainerLimits(root: folder.file("nowhere"), membership: folder.file("nowhere"))
        #expect(none.memory == nil && none.cores == nil)
        #expect(Checkup.memory(free: 1 << 31, limits: none).status == .ok)
    }

    @Test func otherMachinesAreJudged() {
        let absent = Checkup.noGPU("x", isWanted: false, hasDriver: false, visible: nil)
        #expect(absent.status == .note)
        #expect(Checkup.noGPU("x", isWanted: true, hasDriver: false, visible: nil).status == .problem)
        #expect(Checkup.noGPU("x", isWanted: false, hasDriver: true, visible: nil).status == .problem)
        #expect(Checkup.noGPU("x", isWanted: false, hasDriver: true, visible: "").status == .note)
        let old = Checkup.blas("OpenBLAS 0.3.21 DYNAMIC_ARCH", core: "Prescott", simd: "avx512")
        #expect(old.status == .note && old.remedy?.contains("SkylakeX") == true)
        #expect(Checkup.blas("OpenBLAS 0.3.26", core: "SkylakeX", simd: "avx512").status == .ok)
        #expect(Checkup.terminal(encoding: "ANSI_X3.4-1968", columns: 100).status == .note)
        #expect(Checkup.terminal(encoding: "UTF-8", columns: 60).status == .note)
        #expect(Checkup.terminal(encoding: nil, columns: nil).status == .ok)
    }
}
