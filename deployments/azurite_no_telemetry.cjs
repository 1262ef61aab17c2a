// Azurite loads the library of its telemetry also where that is disabled, and then uses nothing of it: half of
// the processor time of its start, and 45 MB.
const modules = require("node:module");
const load = modules._load;
modules._load = function (name, ...rest) {
  return name === "applicationinsights" ? {} : load.call(this, name, ...rest);
};
