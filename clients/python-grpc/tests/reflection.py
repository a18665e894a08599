"""grpcio that knows nothing of the service but what the port tells, as grpcurl does it. The address is the argument."""

import sys

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

channel = grpc.insecure_channel(sys.argv[1])
known = ProtoReflectionDescriptorDatabase(channel)
services = known.get_services()
assert {"nunatak.kv.v1.Kv", "grpc.health.v1.Health"} <= set(services), services
pool = DescriptorPool(known)


def call(service: str, name: str, **members):
    method = pool.FindServiceByName(service).FindMethodByName(name)
    request, answer = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    make = channel.unary_stream if method.server_streaming else channel.unary_unary
    ask = make(
        f"/{service}/{name}", request_serializer=request.SerializeToString, response_deserializer=answer.FromString
    )
    return ask(request(**members), timeout=30)


def kv(name: str, **members):
    return call("nunatak.kv.v1.Kv", name, **members)


assert call("grpc.health.v1.Health", "Check").status == 1
transaction = kv("Begin").transaction
kv("Set", transaction=transaction, key=b"reflected", value=b"1")
assert not kv("Get", key=b"reflected").HasField("value")
kv("Commit", transaction=transaction)
pairs = [(pair.key, pair.value) for answer in kv("Scan", start=b"reflected", end=b"reflectee") for pair in answer.pairs]
assert pairs == [(b"reflected", b"1")], pairs
assert kv("Delete", key=b"reflected").deleted
try:
    kv("Commit", transaction=transaction)
    raise SystemExit("it was committed twice")
except grpc.RpcError as error:
    assert error.code() == grpc.StatusCode.NOT_FOUND, error
print("by reflection")
