/**
 * The preset dictionary under which records are compressed before they are sealed. A record alone is too short to compress well; with the phrases that most records share
 * a text of 2.4 kB takes 0.5. Numbered and never changed: what was sealed with it must open with it in thirty years. A better one gets the next number.
 */
export const RECORD_DICTIONARY_1 = Buffer.from(
  [
    '"state":"failed","rawState":"undelivered","errorCode":"30006"',
    '"kind":"media","index":0,"providerMediaId":"ME","url":"https://api.twilio.com/2010-04-01/Accounts/AC',
    '"mimeDeclared":"image/jpeg","role":"image"',
    'MediaContentType0=image%2Fjpeg&MediaUrl0=https%3A%2F%2Fapi.twilio.com%2F2010-04-01%2FAccounts%2FAC%2FMessages%2FMM%2FMedia%2FME',
    '"kind":"audit","act":{"action":"search","outcome":"allowed","detail":{"query":""},"total":0,"returned":0}',
    '"platform":"cartulary","account":"arc_","id":"audit:',
    '"kind":"message.status","state":"delivered","rawState":"delivered","recipient":{"scheme":"e164","value":"+1"},"shell":{"channel":"sms","direction":"outbound"',
    'ErrorCode=&SmsStatus=delivered&MessageStatus=delivered&RawDlrDoneDate=&MessagingServiceSid=MG',
    'ChannelPrefix=whatsapp&ChannelInstallSid=XE&ChannelToAddress=%2B&EventType=READ&ProfileName=&WaId=&MessageType=text&ChannelMetadata=',
    '"whatsapp","scheme":"wa_bsuid","handle"',
    '"webhook-id","msg_"],["webhook-timestamp","17"],["webhook-signature","v1,"],["content-type","application/json"]',
    '{"type":"message.created","timestamp":"2026-","data":{"channel":"sms","direction":"inbound","from":{"address":"+1","name":""},"to":[{"address":"+1"}],"text":"","sentAt":"2026-"}}',
    'the your order to you is and we for it in of will be has been on with this please can my not thanks delivery size return refund today tomorrow package shipped arrived',
    '{"v":1,"archive":"arc_","record":"rec_","message":"msg_","conversation":"cnv_","source":"src_","connector":{"name":"twilio","version":1},',
    '"capturedAt":{"ms":17,"precision":"ms","zone":"utc","origin":"receipt"},"event":{"kind":"message.created","target":{"platform":"twilio","account":"AC","id":"SM"},"occurredAt":{"ms":17',
    '"precision":"ms","zone":"utc","origin":"receipt"},"content":{"channel":"sms","from":{"kind":"customer","address":{"scheme":"e164","value":"+1"}},"to":[{"kind":"shop",',
    '"address":{"scheme":"e164","value":"+1"},"role":"to"}],"thread":["e164||+1","e164||+1"],"threadKind":"direct","direction":"inbound","directionBasis":"provider","sentAt":{"ms":17',
    '"precision":"s","zone":"utc","origin":"provider"},"body":{"text":"","format":"plain"},"parts":[],"contentState":"present","origin":"unknown","actor":{"type":"customer"},"sms":{"segments":1}},',
    '"extra":{"ToCountry":"US","ToState":"","ToCity":"","ToZip":"","FromZip":"","FromState":"","FromCity":"NEW YORK","FromCountry":"US"}},',
    '"raw":{"transport":"webhook","method":"POST","url":"https://","headers":[["Host",""],["User-Agent","TwilioProxy/1.1"],["Content-Length","4"],',
    '["Content-Type","application/x-www-form-urlencoded; charset=UTF-8"],["Accept","*/*"],["X-Home-Region","us1"],["X-Twilio-Signature","="],["I-Twilio-Idempotency-Token",""],["Connection","close"]],',
    '"body":"ToCountry=US&ToState=&SmsMessageSid=SM&NumMedia=0&ToCity=&FromZip=&SmsSid=SM&FromState=&SmsStatus=received&FromCity=&Body=&FromCountry=US&To=%2B1&ToZip=&NumSegments=1&MessageSid=SM',
    '&AccountSid=AC&From=%2B1&ApiVersion=2010-04-01","encoding":"utf8","verdict":{"scheme":"twilio","result":"valid","key":0}}}',
  ].join(''),
  'latin1',
);
