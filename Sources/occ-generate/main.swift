// Prints Sources/OCCEngine/Operations.swift: a function with labels for every operation that ck_operations.h declares.
//
//     swift run -c release occ-generate > Operations.swift && mv Operations.swift Sources/OCCEngine/
//
// CI compares what it prints with the file.
import CKernels

/// inverse_deviation -> inverseDeviation
func camelCase(_ name: String) -> String {
    let words = name.split(separator: "_")
    return words.enumerated().map { $0 == 0 ? String($1) : $1.prefix(1).uppercased() + $1.dropFirst() }
        .joined()
}

/// "p->n, 2 * (int64_t)p->b" -> "N, 2 * B"
func readable(_ extents: String) -> String {
    var result = extents
    for cast in ["(int64_t)", "(", ")"] { result = result.split(separator: cast).joined() }
    let words = result.split(separator: " ", omittingEmptySubsequences: false).map { word -> String in
        guard word.hasPrefix("p->") else { return word == "ANY," ? "any," : String(word) }
        let name = word.dropFirst(3), comma = name.hasSuffix(",") ? "," : ""
        let bare = String(name.dropLast(comma.count))
        return (bare.count == 1 ? bare.uppercased() : camelCase(bare)) + comma
    }
    return words.joined(separator: " ").lowercasedMacros
}

extension String {
    /// OWN_ANCHORS -> own anchors
    var lowercasedMacros: String {
        split(separator: " ", omittingEmptySubsequences: false)
            .map { word in
                let isMacro = word.count > 2 && word.allSatisfy { $0.isUppercase || $0 == "_" }
                return isMacro ? word.lowercased().replacing("_", with: " ") : String(word)
            }
            .joined(separator: " ")
    }
}

struct Operand {
    let name: String, text: String
    let isStep: Bool, isOptional: Bool, isActivation: Bool

    init(_ operand: ck_operand) {
        let direction =
            switch operand.direction {
            case .CK_OUT: "written"
            case .CK_UPDATE: "read and written"
            case .CK_IN: "read"
            }
        let element =
            switch operand.element {
            case .CK_f32: "float32"
            case .CK_i32: "int32"
            case .CK_u8: "uint8"
            case .CK_step: "step state"
            case .CK_bf16: "bfloat16"
            case .CK_act: "float32 or bfloat16"
            }
        name = camelCase(String(cString: operand.name))
        isStep = operand.element == .CK_step
        isOptional = operand.is_optional != 0
        isActivation = operand.element == .CK_act
        text = "\(direction), \(element) [\(readable(String(cString: operand.extents)))]"
    }
}

/// Words with commas between them (and behind the last one), in lines of at most 105 characters.
func printWrapped(_ words: [String], indentation: Int, trailingComma: Bool = false) {
    var line = ""
    for (index, word) in words.enumerated() {
        let next = word + (trailingComma || index < words.count - 1 ? "," : "")
        if line.isEmpty {
            line = String(repeating: " ", count: indentation) + next
        } else if line.count + next.count + 1 > 105 {
            print(line)
            line = String(repeating: " ", count: indentation) + next
        } else {
            line += " " + next
        }
    }
    print(line)
}

print(
    """
    // Printed by occ-generate from CKernels/include/ck_operations.h; not to be edited.
    import CKernels

    // One function for each operation: appends it to the plan, for a layer whose name errors and listings show. The
    // operands are checked against their declaration at once; `flop` counts a multiply-add as two. Activations are all
    // of the first one's type.
    extension PlanBuilder {
    """)
var isFirst = true
for kind in (0..<UInt32(CK_KIND_COUNT)).map({ ck_kind(rawValue: $0)! }) {
    let declaration = ck_declaration_of(kind).pointee
    let name = String(cString: declaration.name), params = String(cString: declaration.params)
    let operands = (0..<Int(declaration.operand_count)).map { Operand(declaration.operands[$0]) }
    let given = operands.filter { !$0.isStep }
    if !isFirst { print() }
    isFirst = false
    print("    /// \(String(cString: declaration.summary)).")
    print("    ///\n    /// - Parameters:")
    for operand in given {
        print("    ///   - \(operand.name): \(operand.text)\(operand.isOptional ? ", or nil" : "").")
    }
    print("    package func \(camelCase(name))(")
    let parameters = given.map { "\($0.name): Tensor\($0.isOptional ? "?" : "")" }
    printWrapped(
        ["_ layer: String"] + parameters + ["_ params: ck_\(params)_params", "flop: Int = 0"], indentation: 8)
    print("    ) throws {")
    // How activations lie in memory follows from the first that is always there; the check compares the others.
    if let activation = operands.first(where: { $0.isActivation && !$0.isOptional }) {
        print("        var params = params")
        print("        params.activations = \(activation.name).type.activations")
    }
    print("        try append(")
    print("            .CK_KIND_\(name), layer,")
    print("            [")
    printWrapped(
        operands.map { $0.isStep ? "stepState" : $0.name }, indentation: 16,
        trailingComma: operands.count > 1)
    print("            ], ck_operation_params(\(params): params), flop: flop)")
    print("    }")
}
print("}")
