"""The objects and fields of the simulated org. Used by `salesforce.py`."""

from __future__ import annotations

PREFIX = {"Case": "500", "CaseComment": "00a", "FeedItem": "0D5", "HITL_Delivery__c": "a0X"}
PICKLISTS = {"Status": ["New", "Working", "Escalated", "Closed"]}
FIELDS = {
    "Case": [
        "Id", "CaseNumber", "Subject", "Description", "Priority", "Status", "IsEscalated", "CreatedDate",
        "LastModifiedDate", "LastModifiedById", "SystemModstamp",
    ],
    "CaseComment": ["Id", "ParentId", "CommentBody", "IsPublished", "CreatedDate", "CreatedById"],
    "FeedItem": ["Id", "ParentId", "Body", "Visibility", "CreatedDate", "CreatedById"],
    "HITL_Delivery__c": ["Id", "Delivery_Key__c", "Case__c"],
}  # fmt: skip
READ_ONLY = {"Id", "CaseNumber", "CreatedDate", "LastModifiedDate", "LastModifiedById", "SystemModstamp"}
