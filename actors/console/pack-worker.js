// The office in the back: it verifies a pack while the page stays with whoever waits. It is served so that it cannot ask anybody.

import { pinsOf } from "./pack-pins.js";
import { Source } from "./pack-source.js";
import { Stopped, checkAble, checkSize, verifyPack } from "./pack-verify.js";

let wanted = 0;

onmessage = async ({ data: { stop, job, file, pins } }) => {
  wanted = stop ? 0 : job;
  if (stop) return;
  const say = (told) => postMessage({ job, ...told });
  const turn = async () => {
    await new Promise((heard) => setTimeout(heard));
    if (wanted !== job) throw new Stopped();
  };
  try {
    await checkAble();
    checkSize(file.size);
    say({ report: await verifyPack(Source.ofFile(file), pinsOf(pins), (told) => say({ told }), turn) });
  } catch (problem) {
    say(problem instanceof Stopped ? { stopped: true } : { problem: problem.message });
  }
};

postMessage({ ready: true });
