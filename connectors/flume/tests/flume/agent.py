"""Sends events by Python's Thrift: agent.py PORT"""

import sys

from thrift.protocol.TCompactProtocol import TCompactProtocol
from thrift.Thrift import TApplicationException, TMessageType, TType
from thrift.transport import TSocket, TTransport

transport = TTransport.TFramedTransport(TSocket.TSocket("127.0.0.1", int(sys.argv[1])))
transport.open()
protocol = TCompactProtocol(transport)


def write(n):
    protocol.writeStructBegin("ThriftFlumeEvent")
    protocol.writeFieldBegin("body", TType.STRING, 2)
    protocol.writeBinary(f"python {n}".encode())
    protocol.writeFieldEnd()
    # A field of a later version.
    protocol.writeFieldBegin("later", TType.DOUBLE, 9)
    protocol.writeDouble(1.5)
    protocol.writeFieldEnd()
    protocol.writeFieldBegin("headers", TType.MAP, 1)
    protocol.writeMapBegin(TType.STRING, TType.STRING, 1)
    protocol.writeString("agent")
    protocol.writeString("pythön")
    protocol.writeMapEnd()
    protocol.writeFieldEnd()
    protocol.writeFieldStop()
    protocol.writeStructEnd()


def call(method, numbers):
    protocol.writeMessageBegin(method, TMessageType.CALL, 7)
    protocol.writeStructBegin("args")
    if method == "appendBatch":
        protocol.writeFieldBegin("events", TType.LIST, 1)
        protocol.writeListBegin(TType.STRUCT, len(numbers))
        for n in numbers:
            write(n)
        protocol.writeListEnd()
    else:
        protocol.writeFieldBegin("event", TType.STRUCT, 1)
        write(numbers[0])
    protocol.writeFieldEnd()
    protocol.writeFieldStop()
    protocol.writeStructEnd()
    protocol.writeMessageEnd()
    transport.flush()
    _, kind, sequence = protocol.readMessageBegin()
    assert sequence == 7
    if kind == TMessageType.EXCEPTION:
        error = TApplicationException()
        error.read(protocol)
        return f"{error.type} {error.message}"
    protocol.readStructBegin()
    _, kind, field = protocol.readFieldBegin()
    assert (kind, field) == (TType.I32, 0)
    status = protocol.readI32()
    protocol.readFieldEnd()
    assert protocol.readFieldBegin()[1] == TType.STOP
    protocol.readStructEnd()
    protocol.readMessageEnd()
    return status


assert call("append", [0]) == 0
assert call("appendBatch", []) == 0
for start in range(1, 1001, 100):
    assert call("appendBatch", range(start, start + 100)) == 0
error = call("remove", [1])
assert error.startswith("1 there is no method `remove`"), error
