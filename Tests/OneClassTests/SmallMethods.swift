import OCCEngine
import OneClass
import Testing

/// The method of a name, its own networks as small as those of the tests' encoders.
func smallMethod(_ name: String) throws -> any Method {
    var method = try Methods.registry.entry(name)
    if method is FlowLikelihood {
        for setting in ["flow-filters", "flow-blocks"] {
            #expect(try method.set(name: setting, text: setting == "flow-filters" ? "4" : "1"))
        }
    }
    return method
}
