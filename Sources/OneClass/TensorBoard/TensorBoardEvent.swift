import Foundation

/// What happened at a step, as TensorFlow's `Event` message (tensorflow/core/util/event.proto and
/// tensorflow/core/framework/summary.proto).
package struct TensorBoardEvent {
    /// What an event tells.
    package enum Content {
        /// The format of the file; its first event.
        case version
        /// A process goes on: what files before this one have of the event's step and later ones does not
        /// count.
        case start
        /// Numbers by their names.
        case scalars([(name: String, value: Double)])
        /// A picture as a PNG file.
        case picture(name: String, width: Int, height: Int, png: [UInt8])
    }

    /// The step that it is of.
    package let step: Int
    package let content: Content
    /// Seconds since 1970.
    package let time: Double

    package init(step: Int = 0, _ content: Content, time: Double = Date().timeIntervalSince1970) {
        self.step = step
        self.content = content
        self.time = time
    }

    /// The message.
    package var message: ProtocolBuffer {
        var event = ProtocolBuffer()
        event.double(1, time)
        event.integer(2, step)
        switch content {
        case .version: event.text(3, "brain.Event:2")
        case .start:
            var session = ProtocolBuffer()
            session.integer(1, 1)  // SessionLog.START
            event.message(7, session)
        case .scalars(let scalars):
            var summary = ProtocolBuffer()
            for scalar in scalars {
                var value = ProtocolBuffer()
                value.text(1, scalar.name)
                value.real(2, Float(scalar.value))
                summary.message(1, value)
            }
            event.message(5, summary)
        case .picture(let name, let width, let height, let png):
            var image = ProtocolBuffer()
            image.integer(1, height)
            image.integer(2, width)
            image.integer(3, 3)  // RGB
            image.bytes(4, png)
            var value = ProtocolBuffer(), summary = ProtocolBuffer()
            value.text(1, name)
            value.message(4, image)
            summary.message(1, value)
            event.message(5, summary)
        }
        return event
    }
}
