// Serves the algorithm: katib starts this program and says by KATIB_ALGORITHM_ADDRESS where to listen.

import { fileURLToPath } from "node:url";
import * as grpc from "@grpc/grpc-js";
import * as loader from "@grpc/proto-loader";
import { HealthImplementation } from "grpc-health-check";
import { settingsOf, suggest } from "./algorithm.js";
import type { Experiment, SuggestionsReply, SuggestionsRequest } from "./messages.js";

const NAME = "around-the-best";
const ADDRESS = process.env.KATIB_ALGORITHM_ADDRESS ?? "127.0.0.1:6789";
// In a project of your own: a copy of the file beside your sources.
const OURS = new URL("../../../../proto/katibpy/pb/v1beta1/api.proto", import.meta.url);
const PROTO = process.env.KATIB_PROTO ?? fileURLToPath(OURS);

const options: loader.Options = { keepCase: true, longs: Number, enums: String, defaults: true };
const loaded = loader.loadSync(PROTO, options)["katibpy.v1beta1.Suggestion"] as grpc.ServiceDefinition;
// Katib and katib call the service by this name. The definition has another package, so that programs which
// know Katib's own can load it beside that one; package names of messages are not on the wire.
const service = Object.fromEntries(
  Object.entries(loaded).map(([method, each]) => [
    method, { ...each, path: each.path.replace("katibpy.v1beta1", "api.v1.beta1") },
  ]),
);

type Call<Q> = grpc.ServerUnaryCall<Q, object>;
type Answer<A> = (error: Partial<grpc.ServiceError> | null, reply?: A) => void;

/** The settings' problems end a call as katib expects it: one problem a line. */
function refused(experiment: Experiment, answer: Answer<never>): boolean {
  const { problems } = settingsOf(experiment);
  if (problems.length > 0) answer({ code: grpc.status.INVALID_ARGUMENT, details: problems.join("\n") });
  return problems.length > 0;
}

const server = new grpc.Server({ "grpc.max_receive_message_length": 256 * 1024 * 1024 });
server.addService(service, {
  GetSuggestions(call: Call<SuggestionsRequest>, answer: Answer<SuggestionsReply>) {
    if (!refused(call.request.experiment, answer as Answer<never>)) answer(null, suggest(call.request));
  },
  ValidateAlgorithmSettings(call: Call<{ experiment: Experiment }>, answer: Answer<object>) {
    if (!refused(call.request.experiment, answer as Answer<never>)) answer(null, {});
  },
  // An extension: whoever answers it is sent trials that still run, the seed and the Experiment's uid.
  Describe(_: Call<object>, answer: Answer<object>) {
    answer(null, { reads: "all", algorithm: NAME, history_differences: false, version: "1.0.0" });
  },
} as unknown as grpc.UntypedServiceImplementation);
// Katib's probes ask for this name.
new HealthImplementation({ "": "SERVING", "manager.v1beta1.Suggestion": "SERVING" }).addToServer(server);

server.bindAsync(ADDRESS, grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) {
    console.error(error.message);
    process.exit(1);
  }
  console.error(`${NAME} listens at port ${port}`);
});
process.on("SIGTERM", () => server.tryShutdown(() => process.exit(0)));
