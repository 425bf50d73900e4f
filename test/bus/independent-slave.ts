/**
 * A Modbus RTU slave that is not ours: modbus-serial's server on a serial port, run as its own process.
 * `node independent-slave.ts PATH`: units 1 and 2 by the register table; prints `ready`, and every write as one JSON line.
 */
import modbus from 'modbus-serial';
import { MEASUREMENTS, UNITS } from '@waystation/protocol/registers';
import { systemClock } from '@waystation/runtime/clock';

const [path] = process.argv.slice(2);
if (path === undefined) throw new Error('usage: independent-slave.ts PATH');

const clock = systemClock();
const coils = new Map<number, boolean>();
const registers = new Map<number, number>([[0, 30]]);
const tell = (fact: object) => process.stdout.write(`${JSON.stringify(fact)}\n`);
const isUptime = (address: number, unit: number) =>
  unit === UNITS.controller && address === MEASUREMENTS.uptime_s.address;

const options = {
  path,
  baudRate: 115_200,
  interval: 2, // its frame detector waits 30 ms of silence otherwise
};
const server = new modbus.ServerSerial(
  {
    getCoil: (address: number) => coils.get(address) ?? false,
    getDiscreteInput: (address: number) => address % 2 === 1,
    getInputRegister: (address: number, unit: number) =>
      isUptime(address, unit) ? Math.floor(clock.mono() / 1000) : unit * 100 + address,
    getHoldingRegister: (address: number) => registers.get(address) ?? 0,
    setCoil(address: number, on: boolean) {
      coils.set(address, on);
      tell({ coil: address, on });
    },
    setRegister(address: number, value: number) {
      registers.set(address, value);
      tell({ register: address, value });
    },
  },
  options,
);
server.on('initialized', () => process.stdout.write('ready\n'));
