// Parses every .cls and .trigger file named on the command line; prints {"file": ["line:column message", ...]} as JSON.
// Called by tests/contract/packages/test_salesforce_package.py. Syntax only: types need an org.
import { readFileSync } from "node:fs";
import { ApexErrorListener, ApexParserFactory } from "@apexdevtools/apex-parser";

class Errors extends ApexErrorListener {
  found = [];

  apexSyntaxError(line, column, message) {
    this.found.push(`${line}:${column} ${message}`);
  }
}

const said = {};
for (const file of process.argv.slice(2)) {
  const errors = new Errors();
  const { parser } = ApexParserFactory.createLexerAndParser(readFileSync(file, "utf8"), errors);
  if (file.endsWith(".trigger")) parser.triggerUnit();
  else parser.compilationUnit();
  said[file] = errors.found;
}
console.log(JSON.stringify(said));
