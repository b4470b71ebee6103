// The Salesforce CLI's own client against the simulated org: create, update, retrieve, query with paging, composite.
import jsforce from "@jsforce/jsforce-node";

const [url, token] = process.argv.slice(2);
const org = new jsforce.Connection({ instanceUrl: url, accessToken: token, version: "65.0" });
const made = await org.sobject("Case").create({ Subject: "From jsforce", Status: "New" });
await org.sobject("Case").update({ Id: made.id, Status: "Working" });
const row = await org.sobject("Case").retrieve(made.id);
const found = await org.query(`SELECT Id, Subject FROM Case WHERE Id = '${made.id}'`);
const body = (key) => ({
  allOrNone: true,
  compositeRequest: [
    { method: "POST", url: "/services/data/v65.0/sobjects/HITL_Delivery__c", referenceId: "delivery",
      body: { Delivery_Key__c: key, Case__c: made.id } },
    { method: "POST", url: "/services/data/v65.0/sobjects/CaseComment", referenceId: "note",
      body: { ParentId: made.id, CommentBody: "Answer" } },
  ],
});
const first = await org.requestPost("/services/data/v65.0/composite", body("k"));
const second = await org.requestPost("/services/data/v65.0/composite", body("k"));
let refused = "";
try {
  await org.sobject("Case").update({ Id: made.id, Status: "Wroking" });
} catch (error) {
  refused = error.errorCode;
}
const codes = (answer) => answer.compositeResponse.map((part) => part.body[0]?.errorCode ?? part.httpStatusCode);
console.log(JSON.stringify({
  id: made.id, status: row.Status, total: found.totalSize, first: codes(first), second: codes(second), refused,
}));
