"""What services of AWS can be asked for: of each, the calls and what an SDK in Rust names them."""

import json
import sys

import botocore
import botocore.session

session = botocore.session.get_session()
services = {service: session.get_service_model(service).operation_names for service in sys.argv[1:]}
json.dump({name: {call: botocore.xform_name(call) for call in calls} for name, calls in services.items()}, sys.stdout)
