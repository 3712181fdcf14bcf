// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "occ-gpu",
    products: [],
    targets: [
        // System libraries, found through pkg-config.
        .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),

        // Every numeric operation, in C.
        .target(name: "CKernels", dependencies: ["COpenBLAS"], path: "CKernels"),

        .target(name: "OCCEngine", dependencies: ["CKernels"]),
        .target(name: "OCCNetworks", dependencies: ["OCCEngine"]),
        .testTarget(name: "OCCEngineTests", dependencies: ["OCCEngine"]),
    ],
    cLanguageStandard: .gnu2x
)
