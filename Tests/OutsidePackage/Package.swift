// swift-tools-version: 6.2
import PackageDescription

// A package that uses occ-gpu as others would: by its library product alone.
let package = Package(
    name: "OutsidePackage",
    dependencies: [.package(name: "occ-gpu", path: "../..")],
    targets: [
        .executableTarget(name: "Example", dependencies: [.product(name: "OneClass", package: "occ-gpu")])
    ]
)
