// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "occ-gpu",
    products: [
        .executable(name: "occ-gpu", targets: ["occ-gpu"]),
        .library(name: "OneClass", targets: ["OneClass"]),
        // For C and whatever calls C: libocc.so, by Sources/COCC/include/occ.h.
        .library(name: "occ", type: .dynamic, targets: ["OCCLibrary"]),
    ],
    traits: [
        // Training by several processes: `swift build --traits MPI`, with Open MPI, or the library whose pkg-config
        // name OCC_MPI gives (mpich).
        .trait(name: "MPI", description: "One run on many processes, through MPI.")
    ],
    targets: [
        // System libraries, found through pkg-config.
        .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),

        .systemLibrary(name: "CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),
        .systemLibrary(name: "CJPEG", pkgConfig: "libjpeg", providers: [.apt(["libjpeg-dev"])]),
        .systemLibrary(name: "CTIFF", pkgConfig: "libtiff-4", providers: [.apt(["libtiff-dev"])]),
        .systemLibrary(name: "CWebP", pkgConfig: "libwebp", providers: [.apt(["libwebp-dev"])]),
        .systemLibrary(name: "CDeflate", pkgConfig: "libdeflate", providers: [.apt(["libdeflate-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

        .systemLibrary(
            name: "CMPI", pkgConfig: Context.environment["OCC_MPI"] ?? "ompi-c",
            providers: [.apt(["libopenmpi-dev"])]),

        // Every numeric operation, in C.
        .target(
            name: "CKernels", dependencies: ["COpenBLAS"], path: "CKernels",
            cSettings: [
                .headerSearchPath("runtime"), .headerSearchPath("runtime/cpu"),
                .headerSearchPath("runtime/cuda"),
            ]),

        // Notes which commit is built.
        .plugin(name: "BuildInfo", capability: .buildTool(), path: "Sources/BuildInfo"),

        // Prints OCCEngine/Operations.swift from the declarations in CKernels.
        .executableTarget(name: "occ-generate", dependencies: ["CKernels"]),

        .target(name: "OCCEngine", dependencies: ["CKernels"]),
        .target(name: "OCCNetworks", dependencies: ["CKernels", "OCCEngine"]),
        .target(name: "CImageIO", dependencies: ["CPNG", "CJPEG", "CTIFF", "CWebP", "CDeflate", "CZlib"]),
        .target(name: "OCCData", dependencies: ["CImageIO", "CKernels", "OCCEngine"]),
        .target(name: "OCCDetectors", dependencies: ["CKernels", "OCCEngine", "OCCNetworks"]),
        // ONNX Runtime's library, found at run time.
        .target(name: "CONNXRuntime"),
        .target(
            name: "OneClass",
            dependencies: ["CONNXRuntime", "OCCData", "OCCDetectors", "OCCEngine", "OCCNetworks"]),
        .target(name: "COCC"),
        .target(name: "OCCLibrary", dependencies: ["COCC", "OneClass"]),
        // Every operation against a slow reference, and one device against another; part of the product, for `selftest`.
        .target(name: "OCCSelfTest", dependencies: ["CKernels", "OCCEngine"]),
        .target(
            name: "CRanks",
            dependencies: ["CKernels", .target(name: "CMPI", condition: .when(traits: ["MPI"]))],
            cSettings: [.define("OCC_HAS_MPI", .when(traits: ["MPI"]))]),
        .target(
            name: "OCCCommandLine", dependencies: ["CKernels", "CRanks", "OneClass"], plugins: ["BuildInfo"]),
        .executableTarget(
            name: "occ-gpu", dependencies: ["CKernels", "OCCCommandLine", "OCCSelfTest", "OneClass"]),
        .executableTarget(
            name: "occ-bench", dependencies: ["OneClass", "OCCCommandLine", "OCCDetectors"],
            path: "bench/occ-bench"),

        .target(
            name: "TestSupport", dependencies: ["CKernels", "OCCEngine", "OCCSelfTest"],
            path: "Tests/TestSupport"),
        // The CUDA kernels, compiled for the host, on an emulated device.
        .target(
            name: "CUDAEmulation", dependencies: ["CKernels"], path: "Tests/CUDAEmulation",
            cxxSettings: [
                .headerSearchPath("."), .headerSearchPath("../../CKernels/operations"),
                .headerSearchPath("../../CKernels/operations/augment"),
                .headerSearchPath("../../CKernels/operations/conv2d"),
                .headerSearchPath("../../CKernels/runtime/cuda"),
            ]),
        .testTarget(
            name: "BackendParityTests",
            dependencies: ["CKernels", "CUDAEmulation", "OCCEngine", "TestSupport"]),
        .testTarget(
            name: "OCCEngineTests", dependencies: ["CKernels", "OCCEngine", "OCCNetworks", "TestSupport"]),
        .testTarget(name: "OCCDataTests", dependencies: ["CImageIO", "OCCData", "OCCEngine", "TestSupport"]),
        .testTarget(name: "OCCDetectorsTests", dependencies: ["OCCDetectors", "OCCEngine", "TestSupport"]),
        .testTarget(
            name: "OCCNetworksTests",
            dependencies: ["OCCDetectors", "OCCEngine", "OCCNetworks", "TestSupport"]),
        .testTarget(
            name: "OneClassTests",
            dependencies: [
                "CKernels", "CUDAEmulation", "OCCData", "OCCDetectors", "OCCEngine", "OCCNetworks",
                "OneClass",
                "TestSupport",
            ]),
        .testTarget(
            name: "CommandLineTests",
            dependencies: ["OCCCommandLine", "OCCEngine", "OneClass", "TestSupport", "occ-gpu"]),
    ],
    cLanguageStandard: .gnu2x,
    cxxLanguageStandard: .gnucxx17
)
