// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "occ-gpu",
    products: [
        .executable(name: "occ-gpu", targets: ["occ-gpu"]),
        .library(name: "OneClass", targets: ["OneClass"]),
    ],
    targets: [
        // System libraries, found through pkg-config.
        .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),

        .systemLibrary(name: "CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),
        .systemLibrary(name: "CJPEG", pkgConfig: "libjpeg", providers: [.apt(["libjpeg-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

        // Every numeric operation, in C.
        .target(
            name: "CKernels", dependencies: ["COpenBLAS"], path: "CKernels",
            cSettings: [
                .headerSearchPath("runtime"), .headerSearchPath("runtime/cpu"),
                .headerSearchPath("runtime/cuda"),
            ]),

        // Prints OCCEngine/Operations.swift from the declarations in CKernels.
        .executableTarget(name: "occ-generate", dependencies: ["CKernels"]),

        .target(name: "OCCEngine", dependencies: ["CKernels"]),
        .target(name: "OCCNetworks", dependencies: ["OCCEngine"]),
        .target(name: "CImageIO", dependencies: ["CPNG", "CJPEG", "CZlib"]),
        .target(name: "OCCData", dependencies: ["OCCEngine", "CImageIO"]),
        .target(name: "OCCDetectors", dependencies: ["OCCEngine"]),
        .target(name: "OneClass", dependencies: ["OCCNetworks", "OCCData", "OCCDetectors"]),
        // Every operation against a slow reference, and one device against another; part of the product, for `selftest`.
        .target(name: "OCCSelfTest", dependencies: ["OCCEngine"]),
        .target(name: "OCCCommandLine", dependencies: ["OneClass"]),
        .executableTarget(name: "occ-gpu", dependencies: ["OneClass", "OCCCommandLine", "OCCSelfTest"]),
        .executableTarget(
            name: "occ-bench", dependencies: ["OneClass", "OCCCommandLine"], path: "bench/occ-bench"),

        .target(name: "TestSupport", dependencies: ["OCCSelfTest"], path: "Tests/TestSupport"),
        // The CUDA kernels, compiled for the host, on an emulated device.
        .target(
            name: "CUDAEmulation", dependencies: ["CKernels"], path: "Tests/CUDAEmulation",
            cxxSettings: [
                .headerSearchPath("."), .headerSearchPath("../../CKernels/operations"),
                .headerSearchPath("../../CKernels/operations/augment"),
                .headerSearchPath("../../CKernels/runtime/cuda"),
            ]),
        .testTarget(name: "BackendParityTests", dependencies: ["TestSupport", "CUDAEmulation"]),
        .testTarget(name: "OCCEngineTests", dependencies: ["OCCEngine", "OCCNetworks", "TestSupport"]),
        .testTarget(name: "OCCDataTests", dependencies: ["OCCData", "TestSupport"]),
        .testTarget(name: "OCCDetectorsTests", dependencies: ["OCCDetectors", "TestSupport"]),
        .testTarget(name: "OCCNetworksTests", dependencies: ["OCCNetworks", "TestSupport"]),
        .testTarget(name: "OneClassTests", dependencies: ["OneClass", "TestSupport", "CUDAEmulation"]),
        .testTarget(name: "CommandLineTests", dependencies: ["occ-gpu", "OneClass", "TestSupport"]),
    ],
    cLanguageStandard: .gnu2x,
    cxxLanguageStandard: .gnucxx17
)
